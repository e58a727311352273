"""Measure time, size and memory of a report.

Run:    python benchmarks/report_speed.py
Cost:   1 minute.
Result: results/report_speed.json and .md.

All four files of the report are written for generated records of 1,000 and of 10,000 trials, each in a fresh process.
"""

import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from benchmarks.results_file import show_and_keep
from tdmr_ray.report.statistics import Estimate

NAME = "report_speed"
SIZES = (1000, 10_000)


def measure(trials: int) -> tuple[float, float, float]:
    """Return seconds, peak memory in GB (imports and records included) and the size of the page in MB."""
    from helpers.made_search import made_search

    from tdmr_ray.report.folder import compare
    from tdmr_ray.report.write import write_reports

    search = made_search(trials)
    with tempfile.TemporaryDirectory() as folder:
        started = perf_counter()
        paths = write_reports(compare([search]), Path(folder))
        seconds = perf_counter() - started
        megabytes = paths["html"].stat().st_size / 1e6
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, megabytes


def main() -> None:
    """Measure, print and keep the figures."""
    lines = ["| trials | seconds | peak memory, GB | page, MB |", "|--:|--:|--:|--:|"]
    figures: dict[str, float | Estimate] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for trials in SIZES:
            seconds, gigabytes, megabytes = pool.submit(measure, trials).result()
            lines.append(f"| {trials} | {seconds:.1f} | {gigabytes:.2f} | {megabytes:.1f} |")
            figures |= {f"seconds_{trials}": seconds, f"gb_{trials}": gigabytes, f"page_mb_{trials}": megabytes}
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    main()
