"""Measure what an empty run of Ray Train costs, and where the time goes.

Run:    python benchmarks/train_start.py
Cost:   about 3 minutes on 2 cores.
Result: results/train_start.json and .md.

Each run is a TorchTrainer whose workers report once, in a running Ray. `as delivered` polls its workers every 2 s;
`ours` polls as `run_with_ray_train` does. The first run also starts Ray Train's own helpers and is listed separately.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import ray.train
import typer
from ray.cloudpickle import register_pickle_by_value
from ray.train.v2._internal.constants import DEFAULT_HEALTH_CHECK_INTERVAL_S, HEALTH_CHECK_INTERVAL_S_ENV_VAR

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.runner.cluster import ray_session
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.runner.ray_train import POLL_S, run_with_ray_train
from tdmr_ray.storage import StoragePath

NAME = "train_start"
REPEATS = 3


def report_once(job: dict[str, Any]) -> None:
    """Report once, as the only work of a worker."""
    Path(job["began"]).touch()
    ray.train.report({"done": True})


def seconds_of(workers: int, interval_s: float) -> tuple[float, float]:
    """Return the seconds until the first worker began, and those of the whole run."""
    os.environ[HEALTH_CHECK_INTERVAL_S_ENV_VAR] = str(interval_s)
    with tempfile.TemporaryDirectory() as folder:
        began = Path(folder) / "began"
        settings, files = WorkerSettings(Path(folder) / "store"), StoragePath(f"{folder}/ray_train")
        started = perf_counter()
        before = began.parent.stat().st_mtime
        run_with_ray_train(
            report_once, {"began": str(began)}, name="empty", settings=settings, files=files, workers=workers
        )
        took = perf_counter() - started
        return began.stat().st_mtime - before, took


def repeated(measure: Callable[[], tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of repeated measurements."""
    begins, wholes = zip(*(measure() for _ in range(REPEATS)), strict=True)
    return median(begins), median(wholes)


def main() -> None:
    """Measure, print and keep the figures."""
    register_pickle_by_value(sys.modules[__name__])
    with ray_session(None, verbose=False):
        first = seconds_of(1, DEFAULT_HEALTH_CHECK_INTERVAL_S)[1]
        lines = ["| run | workers | until workers begin, s | whole run, s |", "|---|--:|--:|--:|"]
        lines.append(f"| the first in this Ray, as delivered | 1 | | {first:.1f} |")
        figures = {"seconds_first": first}
        for name, interval_s in {"as delivered": DEFAULT_HEALTH_CHECK_INTERVAL_S, "ours": POLL_S}.items():
            for workers in (1, 2):
                begins, whole = repeated(lambda w=workers, s=interval_s: seconds_of(w, s))
                lines.append(f"| {name} | {workers} | {begins:.1f} | {whole:.1f} |")
                figures[f"seconds_{name.replace(' ', '_')}_{workers}"] = whole
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
