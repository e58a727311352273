"""A search over several nodes (real raylets on one machine), one of which is lost in the middle."""

import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.resuming import progress
from helpers.searching import command, write_space
from helpers.waiting import PATIENCE_S
from ray.cluster_utils import Cluster

from tdmr_ray.ledger import Ledger
from tdmr_ray.records import TrialRecord
from tdmr_ray.runner.private_ray import ray_environment

pytestmark = [pytest.mark.slow, pytest.mark.stress]
NUM_NODES = 4


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    """A head without CPUs and four workers."""
    with ray_environment({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(NUM_NODES):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
        cluster.shutdown()


def runs_a_trial(node: Any) -> bool:
    """Whether a worker of a node runs a trial."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return any("TrialActor" in "".join(worker.cmdline()) for worker in raylet.children())


def records_of(out: Path) -> dict[str, TrialRecord]:
    return {record.id: record for record in Ledger(out / "records.jsonl").read()}


def test_trials_of_a_killed_node_continue_elsewhere(nodes: Cluster, tmp_path: Path) -> None:
    pair = {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]}
    budget = {"trials": 8, "epochs": 30}
    space = write_space(tmp_path, pairs=pair, sampler="random", budget=budget, confirm={"top": 0})

    def search(name: str) -> "subprocess.Popen[str]":
        places = ["--out", tmp_path / name, "--store", tmp_path / "store", "--storage", tmp_path / "storage"]
        arguments = command("search", "--space", space, "--address", nodes.address, *places)
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    def finish(process: "subprocess.Popen[str]", started: float) -> float:
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, output
        return time.monotonic() - started

    started = time.monotonic()
    undisturbed_s = finish(search("whole"), started)

    started = time.monotonic()
    process, checkpoints = search("out"), tmp_path / "storage/out"
    while len(before := progress(checkpoints)) < NUM_NODES:
        assert process.poll() is None and time.monotonic() < started + 200, "four trials never ran at once"
        time.sleep(0.05)
    nodes.remove_node(next(filter(runs_a_trial, list(nodes.worker_nodes))), allow_graceful=False)
    while process.poll() is None:
        now = {name: epochs for name, epochs in progress(checkpoints).items() if epochs}
        lost = {name: (epochs, now[name]) for name, epochs in before.items() if now.get(name, epochs) < epochs}
        assert not lost, "a trial lost more than the epoch that it was in"
        before |= now
        time.sleep(0.05)
    disturbed_s = finish(process, started)
    print(f"{undisturbed_s:.0f} s undisturbed, {disturbed_s:.0f} s with a node killed")

    whole, disturbed = records_of(tmp_path / "whole"), records_of(tmp_path / "out")
    assert whole.keys() == disturbed.keys()
    assert len(disturbed) == 8
    assert {record.state for record in disturbed.values()} <= {"complete", "pruned"}
    assert sum(record.moves for record in disturbed.values()) == 1
    assert sum(record.restarts for record in disturbed.values()) == 0
    for name, record in disturbed.items():
        same = min(len(record.curve), len(whole[name].curve))
        assert record.curve[:same] == whole[name].curve[:same]
