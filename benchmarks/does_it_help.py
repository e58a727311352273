"""Compare TDMR with its rivals, which get as many tries and the same ceiling of steps.

Run:    python benchmarks/does_it_help.py            (run it again after an interruption: finished runs are kept)
        python benchmarks/does_it_help.py --full     (a second target, 20 and 50 images a class, 10 seeds)
Cost:   65 to 95 s a run on one core at 1,500 steps, about 1.4 runs a minute on two; 5 hours in all.
Result: results/does_it_help.json, .md and .png; every run is a line of results/does_it_help.jsonl.

Every method first tries four configurations on a labelled subset that no measured run uses, and keeps the one with the
best accuracy on val. Ties are resolved on a further subset. Then the method runs with every seed, which draws the
labelled subset and the initial weights. All methods have the same maximum number of steps, and the best epoch on val
counts. `scratch_long` shows what scratch gains from four times as many steps. Test is read at the end of a run and
decides nothing.

Limits: only the labelled subset and the initial weights vary between seeds. `split_seed` is fixed, so all runs share
one val and one test split. The same test images were also seen while the method was developed (with smaller seeds),
and tuning chooses on the same val images that the measured runs use. TDMR's four configurations come from some 40
explorations on val; the batch size and learning rate found on the way were given to all methods. Intervals therefore
describe the luck of labels and initial weights on these images, not new images.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.does_it_help_report import write_report
from benchmarks.older_names import in_first_edition
from benchmarks.resumable import Row, finished, run_missing
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.controls import PlainKD
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.fit import Outcome, fit
from tdmr_ray.training.teacher_artifact import restore_teacher

RUNS = Path(__file__).parent / "results" / "does_it_help.jsonl"
SHOTS = {"digits": (5, 10, 20, 50), "script": (5, 10, 20)}
"""Numbers of labelled images per class; `script` has 28 training images per class."""
FOUNDATIONS = ("glyph_cnn", "glyph_vit", "glyph_hybrid")
TARGETS = ("mobilenetv3_small_050", "lcnet_050")
MAX_STEPS = 1500
STORED_VIEWS = 20_000
LONG = 4
FIRST_SEED = 10
"""Smaller seeds were used during development, with their accuracy on the same test images."""
TUNING_SEEDS, TUNING_SHOTS, TUNING_FOUNDATION = (100, 101, 102), 5, "glyph_cnn"

Overrides = dict[str, Any]
Chosen = dict[tuple[str, str, bool], Overrides]
"""Chosen settings by task, method and use of unlabelled images."""

_PLAIN = PlainKD.Config()
PLAIN_KD: Overrides = {
    "temperature.start": _PLAIN.temperature,
    "distill.alignment_weight": 0.0,
    "distill.logits_weight": _PLAIN.logits_weight,
    "distill.labels_weight": _PLAIN.labels_weight,
}
SOME_MIXED, MIXED = {"views.mix": 0.5}, {"views.mix": 0.7, "distill.labels_weight": 0.0}
SURE, SLOWER, FASTER = {"pseudo_labels.threshold": 0.8}, {"distill.lr": 0.006}, {"distill.lr": 0.02}
BIG = {"distill.batch_size": 128}
HALF, NEAR = {"outputs.view_averaging": 0.5}, {"outputs.view_averaging": 1.0, "outputs.propagation_neighbors": 6}
OWN = {"distill.num_stages": 2, "distill.self_distillation_weight": 0.5}
SOFT = {"temperature.start": 6.0, "distill.alignment_weight": 1.0}
TRIED: dict[tuple[str, bool], tuple[Overrides, ...]] = {
    ("scratch", False): ({}, SLOWER, BIG, BIG | FASTER),
    ("self_training", True): (SURE, SURE | SOME_MIXED, SURE | BIG, SURE | BIG | FASTER),
    ("plain_kd", False): (
        PLAIN_KD,
        PLAIN_KD | MIXED,
        PLAIN_KD | MIXED | BIG,
        PLAIN_KD | MIXED | BIG | FASTER,
    ),
    ("plain_kd", True): (PLAIN_KD, PLAIN_KD | SOME_MIXED, PLAIN_KD | BIG, PLAIN_KD | BIG | FASTER),
    ("tdmr", False): (MIXED | HALF, MIXED | HALF | BIG, MIXED | SOFT | BIG, MIXED | SOFT | BIG | FASTER),
    ("tdmr", True): (NEAR | OWN | BIG, NEAR | OWN | BIG | FASTER, HALF | SOFT | BIG, HALF | SOFT | BIG | FASTER),
}
VIEWS: dict[str, Overrides] = {"script": {"views.strength": 0.5}}
"""Settings for all methods on a task: the letters of `script` are distorted already."""


@dataclass(frozen=True)
class Cell:
    """One entry of the comparison: a method on a task, with foundation and target where the method has them."""

    task: str
    method: str
    unlabeled: bool
    foundation: str
    target: str
    shots: int
    seed: int


@dataclass(frozen=True)
class Job:
    """A planned run: a cell with a configuration to try, or with the chosen one."""

    cell: Cell
    overrides: Overrides
    tuning: bool

    @property
    def config(self) -> TrialConfig:
        """The whole configuration, with as many epochs as fit into the maximum number of steps."""
        cell = self.cell
        method = {"plain_kd": "tdmr", "scratch_long": "scratch"}.get(cell.method, cell.method)
        config = TrialConfig().with_values(
            {
                "method": method,
                "data.name": cell.task,
                "data.shots": cell.shots,
                "data.shots_seed": cell.seed,
                "data.unlabeled": cell.unlabeled,
                "foundation.name": cell.foundation,
                "target.name": cell.target,
                "seed": cell.seed,
                **VIEWS.get(cell.task, {}),
                **self.overrides,
            }
        )
        if method == "linear_probe":
            return config.with_values({"outputs.num_views": 1})
        images = len(resident_task(config.data).train)
        epochs = round(max_steps(cell.method) / batches_per_epoch(images, config.distill.batch_size))
        stored = max(1, round(STORED_VIEWS / images))
        return config.with_values({"distill.epochs": epochs, "outputs.num_views": stored})

    def __str__(self) -> str:
        """Return a name for messages."""
        cell = self.cell
        method = f"{'tuning ' if self.tuning else ''}{cell.method}{' + unlabelled' if cell.unlabeled else ''}"
        return f"{cell.task}, {cell.shots} a class, seed {cell.seed}, {method} {cell.foundation}".rstrip()

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        overrides = in_first_edition(self.overrides)
        return hash_json(
            [asdict(self.cell), overrides, self.tuning, MAX_STEPS, STORED_VIEWS, VIEWS.get(self.cell.task)]
        )


RowsOf = Callable[[list[Job]], list[Row]]
"""Runs jobs, or looks up their finished rows."""


@cache
def resident_task(data: DataConfig) -> Task:
    """Return a task, which stays in memory."""
    return load_task(data)


def max_steps(method: str) -> int:
    """Return the maximum number of steps of one training."""
    return MAX_STEPS * (LONG if method == "scratch_long" else 1)


def tuned_cells(tasks: Iterable[str], target: str) -> Iterator[Cell]:
    """Yield the methods with settings to choose, with labelled subsets that no measured run uses."""
    for task in tasks:
        for method, unlabeled in TRIED:
            foundation = TUNING_FOUNDATION if method in ("plain_kd", "tdmr") else ""
            yield Cell(task, method, unlabeled, foundation, target, TUNING_SHOTS, TUNING_SEEDS[0])


def tune(tasks: Iterable[str], target: str, rows_of: RowsOf) -> Chosen:
    """Choose the best configuration of each method on val; ties are tried on one more subset."""
    left = {cell: list(TRIED[cell.method, cell.unlabeled]) for cell in tuned_cells(tasks, target)}
    for seed in TUNING_SEEDS:
        jobs = [
            Job(replace(cell, seed=seed), overrides, tuning=True)
            for cell, several in left.items()
            if len(several) > 1
            for overrides in several
        ]
        rows = rows_of(jobs)
        left = {cell: best_on_val(rows, cell, several) for cell, several in left.items()}
    return {(cell.task, cell.method, cell.unlabeled): several[0] for cell, several in left.items()}


def best_on_val(rows: Iterable[Row], cell: Cell, several: list[Overrides]) -> list[Overrides]:
    """Return the configurations with the best accuracy on val; all of them if none has run."""
    same = [
        row
        for row in rows
        if all(row[name] == getattr(cell, name) for name in ("task", "method", "unlabeled", "target"))
    ]
    most = max((row["val_top1"] for row in same), default=None)
    best = [in_first_edition(row["overrides"]) for row in same if row["val_top1"] == most]
    return [overrides for overrides in several if in_first_edition(overrides) in best] or several


def measured_cells(tasks: Iterable[str], target: str, shots: Iterable[int], seeds: Iterable[int]) -> Iterator[Cell]:
    """Yield all measured runs, ordered by number of labels, task and seed, so that finished ones can be compared.

    Scratch with four times the steps comes last.
    """
    for count in shots:
        for task in (name for name in tasks if count in SHOTS[name]):
            for seed in seeds:
                yield Cell(task, "scratch", False, "", target, count, seed)
                yield Cell(task, "self_training", True, "", target, count, seed)
                for foundation in FOUNDATIONS:
                    yield Cell(task, "linear_probe", False, foundation, "", count, seed)
                    for method in ("plain_kd", "tdmr"):
                        yield Cell(task, method, False, foundation, target, count, seed)
                        yield Cell(task, method, True, foundation, target, count, seed)
    for seed in seeds:
        yield from (Cell(task, "scratch_long", False, "", target, TUNING_SHOTS, seed) for task in tasks)


def measuring_job(cell: Cell, chosen: Chosen) -> Job:
    """Return the job of a cell with the configuration that was chosen for its method."""
    method = "scratch" if cell.method == "scratch_long" else cell.method
    return Job(cell, chosen.get((cell.task, method, cell.unlabeled), {}), tuning=False)


def run_job(job: Job) -> Row:
    """Train on one core, measure and return the row."""
    torch.set_num_threads(1)
    config = job.config
    task = resident_task(config.data)
    started, curve = perf_counter(), []
    outcome = fit(config, task, lambda metrics: curve.append(round(metrics["val/top1"], 4)), read_test=True)
    return {
        **asdict(job.cell),
        "tuning": job.tuning,
        "overrides": job.overrides,
        "val_top1": outcome.metrics["val/top1"],
        "test_top1": outcome.metrics["test/top1"],
        "teacher_test_top1": teacher_on_test(config, task, outcome),
        "steps": max_steps(job.cell.method) * (2 if job.cell.method == "self_training" else 1),
        "curve": curve,
        "seconds": round(perf_counter() - started, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def teacher_on_test(config: TrialConfig, task: Task, outcome: Outcome) -> float | None:
    """Return the teacher's accuracy on test; None without a teacher."""
    if outcome.artifact is None:
        return None
    teacher = restore_teacher(config, outcome.artifact, task.num_classes)
    return evaluate(lambda images: teacher(images).logits, task.test, device=pick_device()).top1


def main(
    full: Annotated[bool, typer.Option(help="a second target, 20 and 50 images a class, 10 seeds")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="default: 5, or 10 with --full")] = None,
    runs: Annotated[Path, typer.Option(help="file of finished runs, one line each")] = RUNS,
    workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1,
    report: Annotated[bool, typer.Option("--report", help="run nothing, report finished runs")] = False,
) -> None:
    """Tune, measure and report; Ctrl-C loses only the runs in progress."""
    targets, shots = (TARGETS, (5, 10, 20, 50)) if full else (TARGETS[:1], (5, 10))
    numbers = range(FIRST_SEED, FIRST_SEED + (seeds or (10 if full else 5)))

    def rows_of(jobs: list[Job]) -> list[Row]:
        return finished(jobs, runs) if report else run_missing(jobs, run_job, runs, workers)

    rows: list[Row] = []
    for target in targets:
        chosen = tune(SHOTS, target, rows_of)
        rows += rows_of([measuring_job(cell, chosen) for cell in measured_cells(SHOTS, target, shots, numbers)])
    write_report(rows, runs.parent)


if __name__ == "__main__":
    typer.run(main)
