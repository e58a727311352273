"""Check that two workers train a target together as well as one worker alone.

Run:    python benchmarks/two_workers.py
Cost:   about 10 minutes on 2 cores.
Result: results/two_workers.json and .md: accuracy on val after whole trials with 1 and 2 workers and the same seeds.

Both see the same samples in the same global batches. They differ in the order of sums, and in the statistics of batch
normalisation, which each worker takes from its own half. Val suffices, because nothing is chosen here.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.report.statistics import paired_difference
from tdmr_ray.run_layout import TrainLayout
from tdmr_ray.runner.cluster import ray_session
from tdmr_ray.runner.train_together import train_together
from tdmr_ray.space import Resources
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig

NAME = "two_workers"
VALUES = {"data.shots": 10, "foundation.name": "glyph_cnn", "target.name": "mobilenetv3_small_050"}


def val_top1(seed: int, workers: int) -> float:
    """Return the accuracy on val of a whole trial; the same workers make its teacher."""
    config = TrialConfig().with_values({**VALUES, "seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        metrics = train_together(
            config,
            Resources(workers=workers),
            store=Store(root / "store"),
            layout=TrainLayout(StoragePath(root / "out"), scratch=root),
            on_progress=lambda metrics: None,
        )
    return metrics["val/top1"]


def main(seeds: Annotated[int, typer.Option(min=2)] = 5) -> None:
    """Measure, print and keep the figures."""
    with ray_session(None, verbose=False):
        alone, together = ({seed: val_top1(seed, workers) for seed in range(seeds)} for workers in (1, 2))
    lines = ["| seed | 1 worker, val % | 2 workers, val % |", "|--:|--:|--:|"]
    lines += [f"| {seed} | {100 * alone[seed]:.1f} | {100 * together[seed]:.1f} |" for seed in alone]
    difference = paired_difference(together, alone)
    assert difference is not None and difference.low is not None and difference.high is not None
    low, high = 100 * difference.low, 100 * difference.high
    lines.append(
        f"\n2 workers minus 1 worker: {100 * difference.mean:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}."
    )
    show_and_keep(NAME, lines, {"two_workers_less_one": difference})


if __name__ == "__main__":
    typer.run(main)
