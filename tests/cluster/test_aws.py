"""`ray up cluster/aws.yaml`, a search, a lost spot machine and `ray down`, against an emulated EC2."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tdmr_ray.ledger import Ledger

APART = ("unshare", "--net", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child")
NEEDED = ("unshare", "ip", "sshd", "rsync")


def can_be_apart() -> bool:
    """Whether this machine can emulate a cloud in namespaces."""
    if os.getuid() != 0 or not all(shutil.which(name) for name in NEEDED):
        return False
    return (
        subprocess.run([*APART, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode
        == 0
    )


pytestmark = [
    pytest.mark.slow,
    pytest.mark.stress,
    pytest.mark.skipif(not can_be_apart(), reason=f"needs root, namespaces and {', '.join(NEEDED)}"),
]
SCRIPT = Path(__file__).with_name("emulated.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the emulation has left its log and the search's output."""
    folder = tmp_path_factory.mktemp("aws")
    with (folder / "output.txt").open("w") as output:
        done = subprocess.run(
            [*APART, sys.executable, str(SCRIPT), str(folder)], stdout=output, stderr=subprocess.STDOUT, timeout=1800
        )
    assert done.returncode == 0, (folder / "output.txt").read_text()[-5000:]
    return folder


@pytest.fixture(scope="module")
def events(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "log.json").read_text())
    return found


def test_a_lost_spot_worker_is_replaced_and_the_search_ends(
    events: list[dict[str, Any]],
) -> None:
    order = {event["what"]: number for number, event in enumerate(events)}
    story = ("head up", "worker terminated", "worker replaced", "search finished", "down", "dialled")
    assert sorted(story, key=order.__getitem__) == list(story)
    machines = [event for event in events if event["what"] == "machine"]
    assert [(event["kind"], event["spot"]) for event in machines] == [
        ("head", False),
        ("gpu_worker", True),
        ("gpu_worker", True),
    ]
    finished = next(event for event in events if event["what"] == "search finished")
    assert finished["code"] == 0
    assert next(event for event in events if event["what"] == "head up")["open_to_all"] == [["tcp", 22, 22]]
    assert events[-2]["what"] == "down" and events[-2]["left"] == 0


def test_every_trial_is_recorded_once_and_the_lost_one_moved(folder: Path) -> None:
    records = Ledger(folder / "first" / "records.jsonl").read()
    assert len(records) == 4
    assert {record.state for record in records} <= {"complete", "pruned"}
    assert sum(record.moves for record in records) == 1
    assert sum(record.restarts for record in records) == 0


def test_ssh_reached_only_machines_of_the_emulated_cloud(events: list[dict[str, Any]]) -> None:
    hosts = events[-1]["hosts"]
    assert hosts
    assert all(host.startswith(("10.", "172.", "54.", "127.")) for host in hosts), hosts
