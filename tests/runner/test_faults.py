"""Failures of trials: the record gives the reason, and the search continues."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray.exceptions
from helpers.searching import command, run, write_space
from helpers.studies import build_space, record_of
from helpers.waiting import PATIENCE_S

from tdmr_ray.ledger import Ledger
from tdmr_ray.records import complete
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.ledger_writer import LedgerWriter
from tdmr_ray.runner.process_loss import reason_of_death
from tdmr_ray.runner.watchdog import read_hang
from tdmr_ray.tuning.studies import PairStudies


@pytest.mark.parametrize(
    ("cause", "reason", "may_continue"),
    [
        (None, "it was killed, or its machine went away", True),
        (RuntimeError("first\nthe actor died"), "the actor died", True),
        (MemoryError("too much"), "too much", False),
        (ray.exceptions.OutOfMemoryError("the node is full"), "the node is full", False),
        (RuntimeError("Traceback\ntorch.OutOfMemoryError: 2 GiB"), "torch.OutOfMemoryError: 2 GiB", False),
    ],
)
def test_a_trial_whose_process_died_continues_unless_memory_was_too_small(
    cause: Exception | None, reason: str, may_continue: bool
) -> None:
    assert reason_of_death(cause) == (reason, may_continue)


def test_a_lost_trial_keeps_the_record_of_its_last_rung(tmp_path: Path) -> None:
    spec = PairStudies(build_space()).next_spec()
    assert spec is not None
    writer = LedgerWriter(RunLayout(tmp_path), rungs=lambda: (1,))
    at_rung = record_of(spec, "running")
    at_rung.curve[:] = [0.5]
    writer.started(spec)
    writer.continued(spec, at_rung)
    writer.lost(spec, "it was killed")
    writer.started(spec)
    assert Ledger(tmp_path / "records.jsonl").read() == [at_rung]


def test_a_hanging_step_ends_its_process_and_leaves_its_stack(tmp_path: Path) -> None:
    stack = tmp_path / "checkpoints" / "trial.stack"
    lines = [
        "import time",
        "from pathlib import Path",
        "from tdmr_ray.runner.watchdog import watchdog",
        "def stuck(): time.sleep(60)",
        f"with watchdog(0.2, Path({str(stack)!r})): stuck()",
    ]
    assert subprocess.run([sys.executable, "-c", "\n".join(lines)], timeout=PATIENCE_S).returncode == 1
    assert read_hang(stack).endswith("line 4 in stuck")
    assert read_hang(stack) == ""


@pytest.mark.slow
def test_a_diverging_trial_is_recorded_and_the_search_continues(shared_store: Path, tmp_path: Path) -> None:
    lr = {"distill.lr": {"choices": [1e-3, 1e30]}, "distill.num_stages": {"low": 1, "high": 2}}
    space = write_space(tmp_path, search=lr, confirm={"top": 0}, budget={"trials": 6, "epochs": 3})
    run("search", "--space", space, "--out", tmp_path / "out", "--store", shared_store)
    records = Ledger(tmp_path / "out/records.jsonl").read()
    failed = [record for record in records if record.state == "failed"]
    assert failed
    assert all(record.config["distill"]["lr"] == 1e30 for record in failed)
    assert all("became non-finite; lower the learning rate" in record.error for record in failed)
    assert complete(records, phase="search")
    assert "non-finite" in (tmp_path / "out/leaderboard.md").read_text()


@pytest.mark.slow
def test_a_search_whose_trials_all_fail_gives_the_reason_and_exits_1(shared_store: Path, tmp_path: Path) -> None:
    space = write_space(tmp_path, fixed={"distill.lr": 1e30}, search={}, budget={"trials": 2, "epochs": 3})
    output = run("search", "--space", space, "--out", tmp_path / "out", "--store", shared_store, code=1)
    assert "no trial finished: 2 failed: " in output
    assert "non-finite" in output


@pytest.mark.slow
def test_a_hanging_trial_is_recorded_with_its_location(shared_store: Path, tmp_path: Path) -> None:
    space = write_space(tmp_path, budget={"trials": 2, "epochs": 3}, confirm={"top": 0})
    arguments = ["--space", space, "--out", tmp_path / "out", "--store", tmp_path / "store"]
    output = run("search", *arguments, "--set", "resources.trial_timeout=0.02s", code=1)
    assert "no trial finished: 2 failed: an epoch took longer than 0.02 s: it was in File" in output
    assert all(record.restarts == 0 for record in Ledger(tmp_path / "out/records.jsonl").read())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 60 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can make a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.stress
def test_a_search_on_a_full_disk_ends_with_one_message_and_resumes_when_there_is_room(
    shared_store: Path, small_disk: Path, tmp_path: Path
) -> None:
    confirm = {"top": 1, "seeds": [0], "controls": [], "steps": 20}
    space = write_space(tmp_path, budget={"trials": 6, "epochs": 3}, confirm=confirm)
    arguments = command("search", "--space", space, "--out", small_disk, "--store", shared_store)
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 1
    assert ended.stderr.count("No space left on device; finished trials are safe: make room, then continue") == 1
    assert "Traceback" not in ended.stderr
    before = [record for record in Ledger(small_disk / "records.jsonl").read() if record.state != "running"]
    subprocess.run(["mount", "-o", "remount,size=100m", small_disk], check=True)
    run("search", "--space", space, "--out", small_disk, "--store", shared_store, "--resume")
    after = Ledger(small_disk / "records.jsonl").read()
    assert len([record for record in after if record.phase == "search"]) == 6
    assert not [record for record in after if record.state in ("running", "failed")]
    assert [record for record in after if record in before] == before
