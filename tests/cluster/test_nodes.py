"""A search over several nodes, one of which is lost in the middle: real raylets, on one machine."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import psutil
import pytest
from ray.cluster_utils import Cluster
from searching import command, write_space

from tdmr_ray.places import Place
from tdmr_ray.records import Ledger
from tdmr_ray.training.checkpoint import DamagedCheckpoint, load_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.stress, pytest.mark.cluster]
NUM_NODES = 4


@pytest.fixture
def nodes(s3: None) -> Iterator[Cluster]:
    """A head without CPUs and four workers."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(NUM_NODES):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def epochs_kept(bucket: str) -> dict[str, int]:
    """Epochs of each running trial, as its checkpoint on S3 has them."""
    client, name = boto3.client("s3"), bucket.removeprefix("s3://")
    listed = client.list_objects_v2(Bucket=name, Prefix="out/checkpoints/").get("Contents", [])
    kept = {}
    for key in (each["Key"] for each in listed if each["Key"].endswith(".pt")):
        with contextlib.suppress(DamagedCheckpoint):
            state = load_checkpoint(Place(f"s3://{name}/{key}"), key=Path(key).stem)
            kept |= {Path(key).stem: len(state["history"])} if state else {}
    return kept


def runs_a_trial(raylet: int) -> bool:
    """Whether a node's worker has gone beyond its start."""
    with contextlib.suppress(psutil.Error):
        return any("TrialActor" in "".join(each.cmdline()) for each in psutil.Process(raylet).children())
    return False


def test_when_a_node_is_killed_its_trials_go_on_elsewhere_and_all_end(
    nodes: Cluster, bucket: str, tmp_path: Path
) -> None:
    space = write_space(tmp_path, budget={"trials": 8, "epochs": 30}, confirm={"top": 0})
    arguments = ["--space", space, "--out", tmp_path / "out", "--store", tmp_path / "store"]
    also = ["--address", nodes.address, "--storage", bucket]
    with subprocess.Popen(command("search", *arguments, *also), stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 200
        while len(before := epochs_kept(bucket)) < NUM_NODES:
            assert process.poll() is None and time.monotonic() < deadline, "four trials never ran at once"
            time.sleep(0.2)
        victim = next(node for node in list(nodes.worker_nodes) if runs_a_trial(raylet_of(node)))
        nodes.remove_node(victim, allow_graceful=False)
        least = dict(before)
        while process.poll() is None:
            for name, epochs in epochs_kept(bucket).items():
                assert epochs >= least.get(name, 0), "a trial lost more than the epoch it was in"
                least[name] = epochs
            assert time.monotonic() < deadline + 300
            time.sleep(0.2)
        said = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0, said
    records = Ledger(tmp_path / "out/records.jsonl").read()
    assert len(records) == 8
    assert {record.state for record in records} <= {"complete", "pruned"}
    assert sum(record.moves for record in records) == 1
    assert sum(record.restarts for record in records) == 0
    assert "it goes on in another process" in said


def raylet_of(node: object) -> int:
    """Its process."""
    return int(node.all_processes["raylet"][0].process.pid)  # type: ignore[attr-defined]
