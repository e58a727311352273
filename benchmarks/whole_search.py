"""What does the command that a user types take? Wall time and memory of the example, and memory by concurrency.

Run:    python benchmarks/whole_search.py
Cost:   12 minutes on 2 cores, beside which nothing else should run.
Result: results/whole_search.json and .md.

`search_spaces/vit_mobile.yaml` with an empty store, whole; then its first trials with one and two at a time. Memory is
the proportional set size (memory that processes share counts once) of the command and all its descendants, Ray's own
processes among them, every second.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.report.statistics import Estimate

NAME = "whole_search"
ROOT = Path(__file__).parents[1]
SPACE = ROOT / "search_spaces" / "vit_mobile.yaml"
SHORT = ("--trials", "8", "--set", "budget.epochs=6", "--set", "confirm.top=0")


def pss_bytes(process: psutil.Process) -> int:
    """Of a process and all its descendants; those that end meanwhile are left out."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def measure(*arguments: str) -> tuple[float, float]:
    """Seconds and peak gigabytes of a search with an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        place = ("--out", f"{folder}/out", "--store", f"{folder}/store")
        command = [sys.executable, "-m", "tdmr_ray.search", "--space", str(SPACE), *place, *arguments]
        started = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT) as process:
            watched, peak = psutil.Process(process.pid), 0
            while process.poll() is None:
                peak = max(peak, pss_bytes(watched))
                time.sleep(1)
        assert process.returncode == 0, f"{' '.join(command)} ended with {process.returncode}"
        return time.monotonic() - started, peak / 1e9


def main() -> None:
    """Measure; print and keep."""
    runs = {
        "whole": measure(),
        "one at a time": measure(*SHORT, "--set", "resources.concurrent=1"),
        "two at a time": measure(*SHORT, "--set", "resources.concurrent=2"),
    }
    lines = ["| search | seconds | peak memory, GB |", "|---|--:|--:|"]
    lines += [f"| {name} | {seconds:.0f} | {gigabytes:.2f} |" for name, (seconds, gigabytes) in runs.items()]
    figures: dict[str, float | Estimate] = {
        "seconds": runs["whole"][0],
        "peak_gb": runs["whole"][1],
        "gb_for_another_trial": runs["two at a time"][1] - runs["one at a time"][1],
    }
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    main()
