"""Measure what makes a teacher good with few labels: image size, mapping, a committee, and its own predictions.

Run:    python benchmarks/few_labels.py [--cells CELL,CELL]      (finished runs are kept)
Assets: those of `real_images.py`, which also says what the cells are.
Cost:   features of the foundations once (see `real_images.py`), then seconds a run.
Result: results/few_labels.json and .md; every run is a line of results/few_labels.jsonl.

A teacher is judged on the training images whose labels it does not see, which are those that a target learns from. Five
seeds draw val and labels anew. Test is never read.
"""

import os
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.real_images import CELLS, NETWORKS, data_of, provide, resident_task
from benchmarks.results_file import show_and_keep
from benchmarks.resumable import Row, run_missing
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.report.statistics import Estimate, estimate
from tdmr_ray.training.config import TrialConfig, hash_json

NAME = "few_labels"
RUNS = Path(__file__).parent / "results" / f"{NAME}.jsonl"
SEEDS = range(1, 6)
DISCRIMINANT = {"mapping.kind": "discriminant"}
ROUNDS = {**DISCRIMINANT, "pseudo_labels.rounds": 4}
SMALL_PX = 96
SMALL = f"discriminant, foundation sees {SMALL_PX} px"
TEACHERS: dict[str, tuple[bool, dict[str, Any]]] = {
    SMALL: (False, DISCRIMINANT),
    "linear": (False, {"mapping.kind": "linear"}),
    "discriminant": (False, DISCRIMINANT),
    "linear, committee": (True, {"mapping.kind": "linear"}),
    "discriminant, committee": (True, DISCRIMINANT),
    "and own predictions": (True, ROUNDS),
    "and propagation": (True, ROUNDS | {"outputs.propagation_neighbors": 6, "outputs.propagation_alpha": 0.5}),
}
"""Whether a teacher has all foundations of the cell or the first one, and its settings."""


@dataclass(frozen=True)
class Job:
    """A planned teacher."""

    cell: str
    teacher: str
    seed: int

    def __str__(self) -> str:
        """Return a name for messages."""
        return f"{self.cell}, {self.teacher}, seed {self.seed}"

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        return hash_json([asdict(self), TEACHERS[self.teacher], [network.get("image_px") for network in self.networks]])

    @property
    def networks(self) -> list[dict[str, Any]]:
        """The foundations that take part."""
        foundations = CELLS[self.cell].foundations
        names = foundations if TEACHERS[self.teacher][0] else foundations[:1]
        smaller = {"image_px": SMALL_PX} if self.teacher == SMALL and CELLS[self.cell].kind == "photographs" else {}
        return [{**NETWORKS[name], **smaller} for name in names]


@cache
def _true_labels(data: DataConfig) -> dict[int, int]:
    task = load_task(data.model_copy(update={"shots": None, "unlabeled": None}))
    assert task.train.ids is not None, "images of a data set have ids"
    return dict(zip(task.train.ids.tolist(), task.train.labels.tolist(), strict=True))


def hidden_labels(data: DataConfig) -> Tensor:
    """Return the true labels of the training images that are used without labels, in their order."""
    ids = resident_task(data).unlabeled.ids
    assert ids is not None, "images of a data set have ids"
    known = _true_labels(data)
    return torch.tensor([known[each] for each in ids.tolist()])


def run_job(job: Job) -> Row:
    """Make a teacher and measure it."""
    torch.set_num_threads(1)
    started = perf_counter()
    data = data_of(CELLS[job.cell], job.seed, tuning=False)
    settings, networks = TEACHERS[job.teacher][1], job.networks
    foundation = networks[0] if len(networks) == 1 else {"members": networks}
    base = {"data": data.model_dump(mode="json"), "foundation": foundation, "outputs.view_averaging": 1.0}
    config, task = TrialConfig().with_values({**base, **settings, "seed": job.seed}), resident_task(data)
    artifact = provide(config, task)
    assert artifact.outputs is not None, "the outputs are stored"
    predicted = torch.from_numpy(artifact.outputs.logits[task.num_labeled :]).float().argmax(dim=1)
    return {
        **asdict(job),
        "val_top1": artifact.val_top1,
        "unlabeled_top1": float((predicted == hidden_labels(data)).float().mean()),
        "seconds": round(perf_counter() - started, 1),
    }


def main(
    cells: Annotated[str, typer.Option(help="cells, separated by commas")] = ",".join(CELLS),
    workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1,
) -> None:
    """Make all teachers and report."""
    jobs = [Job(cell, teacher, seed) for cell in cells.split(",") for teacher in TEACHERS for seed in SEEDS]
    rows = run_missing(jobs, run_job, RUNS, workers)
    figures: dict[str, Estimate] = {}
    lines = ["Right answers for training images whose labels are hidden, %, mean of five seeds.", ""]
    lines += [f"| teacher | {' | '.join(cells.split(','))} |", f"|---|{'--:|' * len(cells.split(','))}"]
    for teacher in TEACHERS:
        shown = []
        for cell in cells.split(","):
            values = [row["unlabeled_top1"] for row in rows if (row["cell"], row["teacher"]) == (cell, teacher)]
            figures[f"{cell}.{teacher}"] = estimate(values)
            shown.append(f"{100 * figures[f'{cell}.{teacher}'].mean:.1f}")
        lines.append(f"| {teacher} | {' | '.join(shown)} |")
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
