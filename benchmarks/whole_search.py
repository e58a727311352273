"""Measure wall time and memory of the example search, and memory by number of concurrent trials.

Run:    python benchmarks/whole_search.py
Cost:   12 minutes on 2 cores of an otherwise idle machine.
Result: results/whole_search.json and .md.

`search_spaces/vit_mobile.yaml` runs to its end with an empty store; then its first trials run one and two at a time.
Memory is the proportional set size (shared memory counts once) of the command and all its descendants, including Ray's
own processes, sampled every second.
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
    """Return the memory of a process and all its descendants; processes that end meanwhile are left out."""
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def measure(*arguments: str) -> tuple[float, float]:
    """Return seconds and peak memory in GB of a search with an empty store."""
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
    """Measure, print and keep the figures."""
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
