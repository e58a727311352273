"""One search that signals end again and again: each end is orderly, and the next start continues."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from helpers.resuming import ended
from helpers.searching import command, run, write_space
from helpers.waiting import PATIENCE_S, wait_until

from tdmr_ray.ledger import Ledger
from tdmr_ray.output_dir import is_used

pytestmark = pytest.mark.slow
NUM_TRIALS = 6


def ray_starts(folder: Path, since: float) -> bool:
    """Whether the costs of the targets are written, after which Ray starts."""
    return any(path.stat().st_mtime > since for path in folder.glob("targets.json"))


def trials_run(folder: Path, since: float) -> bool:
    """Whether a trial has completed an epoch."""
    with contextlib.suppress(FileNotFoundError):  # a trial that ends removes its checkpoint
        return any(path.stat().st_mtime > since for path in folder.glob("checkpoints/*.pt"))
    return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the space file and the results that all cases share."""
    return tmp_path_factory.mktemp("signals")


def search_arguments(home: Path, store: Path) -> list[object]:
    pair = {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]}
    space = write_space(home, pairs=pair, budget={"trials": NUM_TRIALS, "epochs": 40}, confirm={"top": 0})
    arguments: list[object] = ["--space", space, "--out", home / "out", "--store", store]
    return [*arguments, "--resume"] if is_used(home / "out") else arguments


def start(log: Path, module: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, like a shell, with all output in a file.

    SIGHUP is not ignored in it, as it would be if the tests run under `nohup`.
    """
    with log.open("w") as output:
        return subprocess.Popen(
            command(module, *arguments),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
        )


def send(process: subprocess.Popen[bytes], names: list[str], log: Path, *, to_group: bool) -> str:
    """Send signals, each after the answer to the one before; return the whole output of the process."""
    for number, name in enumerate(names):
        if number:
            wait_until(lambda: "ending, within" in log.read_text(), "the answer")
        (os.killpg if to_group else os.kill)(process.pid, signal.Signals[name])
    process.wait(timeout=PATIENCE_S)
    output = log.read_text()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "*** SIG" not in output
    return output


@pytest.mark.parametrize(
    ("moment", "signals", "to_group", "says", "how"),
    [
        (ray_starts, ["SIGTERM"], False, "", "stopped"),
        (trials_run, ["SIGTERM", "SIGTERM"], True, "SIGTERM: ending, within 300 s", "interrupted"),
        (trials_run, ["SIGHUP"], True, "SIGHUP: ending, within 300 s", "interrupted"),
        (trials_run, ["SIGINT", "SIGINT"], False, "press Ctrl-C again to stop now", "stopped"),
    ],
    ids=["while Ray starts", "like timeout", "lost terminal", "Ctrl-C twice"],
)
def test_a_signal_ends_a_search_in_order(
    moment: Callable[[Path, float], bool],
    signals: list[str],
    to_group: bool,
    says: str,
    how: str,
    home: Path,
    shared_store: Path,
) -> None:
    folder = home / "out"
    before = ended(folder / "records.jsonl")
    log, since = home / "log.txt", time.time()
    process = start(log, "search", *search_arguments(home, shared_store), "--grace", "5m")
    wait_until(lambda: moment(folder, since), "the moment", process)
    output = send(process, signals, log, to_group=to_group)
    assert says in output
    assert output.splitlines()[-1] == f"{how}; continue with --out {folder} --resume"
    after = ended(folder / "records.jsonl")
    assert set(after.values()) <= {1}
    assert set(before) <= set(after)


def test_the_search_continues_to_its_end(home: Path, shared_store: Path) -> None:
    before = Ledger(home / "out/records.jsonl").read()
    run("search", *search_arguments(home, shared_store))
    after = Ledger(home / "out/records.jsonl").read()
    assert [record.id for record in after][: len(before)] == [record.id for record in before]
    assert [record for record in before if record.state != "running"] == [r for r in before if r in after]
    assert len(after) == NUM_TRIALS
    assert {record.state for record in after} <= {"complete", "pruned"}
    assert set(ended(home / "out/records.jsonl").values()) == {1}


@pytest.mark.parametrize("name", ["SIGINT"])
def test_a_signal_ends_a_training_with_ray_train(name: str, shared_store: Path, tmp_path: Path) -> None:
    space = write_space(tmp_path, budget={"trials": 1, "epochs": 500})
    log = tmp_path / "log.txt"
    process = start(log, "train", "--space", space, "--out", tmp_path / "out", "--store", shared_store)
    wait_until(lambda: any((tmp_path / "out").rglob("*.pt")), "a checkpoint", process)
    output = send(process, [name], log, to_group=True)
    assert output.splitlines()[-1] == f"stopped; add --resume and --out {tmp_path / 'out'} to continue"
