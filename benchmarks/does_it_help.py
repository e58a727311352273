"""Is the small model better with TDMR than without? Its rivals are tuned and trained as carefully.

Run:    python benchmarks/does_it_help.py            (after a stop, again: finished runs are kept and not run twice)
        python benchmarks/does_it_help.py --full     (a second target, 20 and 50 images a class, 10 seeds: in pieces)
Cost:   65 to 95 s a run on one core at 1,500 steps, about 1.4 runs a minute on two; 5 hours in all.
Result: results/does_it_help.json, .md and .png; every run is a line of results/does_it_help.jsonl.

Every method first tries four configurations on a labelled subset that is not measured, and keeps the one that is best
on val; equals are tried on a further subset. Then it runs with every seed (labelled subset and initial weights). All
have one ceiling of steps, and the epoch that is best on val counts; `scratch_long` shows what scratch gains from four
times as many. Test is read at the end of a run and decides nothing.
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
from benchmarks.resumable import Row, finished, run_missing
from tdmr_ray.data.task import DataConfig, Task, load_task
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.controls import PLAIN_TEMPERATURE
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.fit import Outcome, fit
from tdmr_ray.training.teacher_artifact import restore_teacher

RUNS = Path(__file__).parent / "results" / "does_it_help.jsonl"
SHOTS = {"digits": (5, 10, 20, 50), "script": (5, 10, 20)}
"""Images a class that can be labelled; `script` has 28 to train on."""
FOUNDATIONS = ("glyph_cnn", "glyph_vit", "glyph_hybrid")
TARGETS = ("mobilenetv3_small_050", "lcnet_050")
MAX_STEPS = 1500
STORED_VIEWS = 20_000
LONG = 4
FIRST_SEED = 10
"""Smaller ones were seen, test too, while the method was being made."""
TUNING_SEEDS, TUNING_SHOTS, TUNING_FOUNDATION = (100, 101, 102), 5, "glyph_cnn"

Overrides = dict[str, Any]
Chosen = dict[tuple[str, str, bool], Overrides]
"""By task, method and whether images without labels take part."""

PLAIN_KD: Overrides = {
    "temperature.start": PLAIN_TEMPERATURE.start,
    "distill.alignment_weight": 0.0,
    "distill.logits_weight": 0.9,
    "distill.labels_weight": 0.1,
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
"""Of every method on a task: letters of `script` are distorted already."""


@dataclass(frozen=True)
class Cell:
    """What is compared: a method on a task, with a foundation and target where it has them."""

    task: str
    method: str
    unlabeled: bool
    foundation: str
    target: str
    shots: int
    seed: int


@dataclass(frozen=True)
class Job:
    """A run that is due: a cell with a configuration that is tried, or that was chosen."""

    cell: Cell
    overrides: Overrides
    tuning: bool

    @property
    def config(self) -> TrialConfig:
        """All of it; as many epochs as fit under the ceiling of steps."""
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
        """What it is, for people."""
        cell = self.cell
        method = f"{'tuning ' if self.tuning else ''}{cell.method}{' + unlabelled' if cell.unlabeled else ''}"
        return f"{cell.task}, {cell.shots} a class, seed {cell.seed}, {method} {cell.foundation}".rstrip()

    @property
    def key(self) -> str:
        """Equal for equal runs, whenever they are asked for."""
        return hash_json(
            [asdict(self.cell), self.overrides, self.tuning, MAX_STEPS, STORED_VIEWS, VIEWS.get(self.cell.task)]
        )


RowsOf = Callable[[list[Job]], list[Row]]
"""Runs jobs, or finds what they left."""


@cache
def resident_task(data: DataConfig) -> Task:
    """A task that stays in memory."""
    return load_task(data)


def max_steps(method: str) -> int:
    """Ceiling of steps of one training."""
    return MAX_STEPS * (LONG if method == "scratch_long" else 1)


def tuned_cells(tasks: Iterable[str], target: str) -> Iterator[Cell]:
    """Every method that has something to choose, on images that the measurement does not use."""
    for task in tasks:
        for method, unlabeled in TRIED:
            foundation = TUNING_FOUNDATION if method in ("plain_kd", "tdmr") else ""
            yield Cell(task, method, unlabeled, foundation, target, TUNING_SHOTS, TUNING_SEEDS[0])


def tune(tasks: Iterable[str], target: str, rows_of: RowsOf) -> Chosen:
    """The best configuration of each method on val; those that are equal are tried on one subset more."""
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
    """Those of several configurations that were best; all of them if none was run."""
    same = [
        row
        for row in rows
        if all(row[name] == getattr(cell, name) for name in ("task", "method", "unlabeled", "target"))
    ]
    most = max((row["val_top1"] for row in same), default=None)
    best = [row["overrides"] for row in same if row["val_top1"] == most]
    return [overrides for overrides in several if overrides in best] or several


def measured_cells(tasks: Iterable[str], target: str, shots: Iterable[int], seeds: Iterable[int]) -> Iterator[Cell]:
    """The fewest labels first, task after task, then seed after seed: what is finished can always be compared.

    Scratch with four times the steps, which is there to be looked at, comes last.
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
    """A cell with the configuration that was chosen for its method."""
    method = "scratch" if cell.method == "scratch_long" else cell.method
    return Job(cell, chosen.get((cell.task, method, cell.unlabeled), {}), tuning=False)


def run_job(job: Job) -> Row:
    """Train, measure, and say what came out; one core."""
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
    """Accuracy of the teacher that took part; None if none did."""
    if outcome.artifact is None:
        return None
    teacher = restore_teacher(config, outcome.artifact, task.num_classes)
    return evaluate(lambda images: teacher(images).logits, task.test, device=pick_device()).top1


def main(
    full: Annotated[bool, typer.Option(help="a second target, 20 and 50 images a class, 10 seeds")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="default: 5, or 10 with --full")] = None,
    runs: Annotated[Path, typer.Option(help="finished runs, a line each")] = RUNS,
    workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1,
    report: Annotated[bool, typer.Option("--report", help="run nothing, report what is finished")] = False,
) -> None:
    """Tune, measure, report; Ctrl-C loses only the runs under way."""
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
