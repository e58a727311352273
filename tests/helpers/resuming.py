"""Searches that are killed, and what they have written by then."""

import contextlib
import json
import re
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from helpers.searching import command, records_without_times
from helpers.waiting import PATIENCE_S, wait_until

from tdmr_ray.storage import StoragePath
from tdmr_ray.training.checkpoint import load_checkpoint

CHANGES: dict[str, Any] = {
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "budget": {"trials": 4, "epochs": 8},
    "confirm": {"top": 1, "seeds": [0], "controls": ["scratch"], "steps": 60},
    "resources": {"cpu": 1, "concurrent": 1},
}


def start(arguments: list[object]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("search", *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    )


def _is_agent(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "Agent" in process.name() or "agent" in "".join(process.cmdline())
    return False


def kill(process: subprocess.Popen[bytes]) -> None:
    """Send SIGKILL to the driver alone; Ray's processes notice by themselves, its agents only after a minute."""
    family = [each for each in psutil.Process(process.pid).children(recursive=True) if not _is_agent(each)]
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    assert not alive, f"still there long after the driver: {alive}"


def progress(folder: Path) -> dict[str, int]:
    """Epochs in the checkpoint of each trial that has not ended."""
    found = {}
    for path in (folder / "checkpoints").glob("*.pt"):
        with contextlib.suppress(FileNotFoundError):
            state = load_checkpoint(StoragePath(path), key=path.stem)
            found[path.stem] = len(state["history"]) if state else 0
    return found


def ended(ledger: Path) -> Counter[str]:
    """Number of lines in which each trial has ended; every whole line is a record."""
    lines = ledger.read_bytes().split(b"\n")[:-1] if ledger.exists() else []
    rows = [json.loads(line) for line in lines]
    return Counter(row["id"] for row in rows if row["state"] != "running")


def wait_for_a_moment(process: subprocess.Popen[bytes], folder: Path, early: float | None, late: float) -> None:
    """Wait for `early` seconds, or until `late` seconds after the process has made progress."""
    if early is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(early)
        return
    before = (progress(folder), ended(folder / "records.jsonl"))
    wait_until(
        lambda: (progress(folder), ended(folder / "records.jsonl")) != before or process.poll() is not None, "progress"
    )
    time.sleep(late)


def reproducible_rows(ledger: Path) -> list[dict[str, Any]]:
    """Records without the fields that a stop may change: times, restarts, and whether a teacher was reused."""
    rows = records_without_times(ledger)
    for row in rows:
        del row["teacher_reused"], row["restarts"]
    return rows


def leaderboard(folder: Path) -> dict[str, Any]:
    """The first table of a search's leaderboard without times and latencies."""
    table = json.loads((folder / "leaderboard.json").read_text())["tables"][0]
    figures = ("foundation", "target", "val", "test", "controls", "values", "num_trials")
    return {
        "trials": table["trials"],
        "sentence": re.sub(r"[\d.]+ ms", "", table["sentence"]),
        "rows": [{name: row[name] for name in figures} for row in table["rows"]],
    }
