"""Is the small model better with TDMR than without? Its rivals are tuned and trained as carefully.

Run:    python benchmarks/does_it_help.py            (after a stop, again: finished runs are kept and not run twice)
        python benchmarks/does_it_help.py --full     (a second target, 20 and 50 images a class, 10 seeds: in pieces)
Cost:   FILL
Result: results/does_it_help.json, .md and .png; every run is a line of results/does_it_help.jsonl.

Every method first tries three configurations on a labelled subset that is not used again, and keeps the one that is
best on val. Then it runs with every seed (labelled subset and initial weights). All have one ceiling of steps, and the
epoch that is best on val counts. Test is read at the end of a run and decides nothing.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.does_it_help_report import write_report
from benchmarks.resumable import Row, read_runs, run_missing
from tdmr_ray.data.task import DataConfig, Task, load_task
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.controls import PLAIN_TEMPERATURE
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.fit import Outcome, fit
from tdmr_ray.training.program import restore_teacher

RUNS = Path(__file__).parent / "results" / "does_it_help.jsonl"
SHOTS = {"digits": (5, 10, 20, 50), "script": (5, 10, 20)}
"""Images a class that can be labelled; `script` has 28 to train on."""
FOUNDATIONS = ("glyph_cnn", "glyph_vit", "glyph_hybrid")
TARGETS = ("mobilenetv3_small_050", "lcnet_050")
MAX_STEPS = 1500
STORED_VIEWS = 20_000
TUNING_SEED, TUNING_SHOTS, TUNING_FOUNDATION = 100, 5, "glyph_cnn"

Overrides = dict[str, Any]

PLAIN_KD: Overrides = {
    "temperature.start": PLAIN_TEMPERATURE.start,
    "distill.alignment_weight": 0.0,
    "distill.logits_weight": 0.9,
    "distill.labels_weight": 0.1,
}
SOME_MIXED, MOST_MIXED = {"views.mix": 0.5}, {"views.mix": 0.7}
NO_LABELS, HALF, WHOLE = {"distill.labels_weight": 0.0}, {"signals.consensus": 0.5}, {"signals.consensus": 1.0}
SURE = {"pseudo_labels.threshold": 0.8}
TRIED: dict[tuple[str, bool], tuple[Overrides, ...]] = {
    ("scratch", False): ({}, SOME_MIXED, {"distill.lr": 0.006}),
    ("self_training", True): ({}, SURE, SURE | SOME_MIXED),
    ("plain_kd", False): (PLAIN_KD, PLAIN_KD | MOST_MIXED, PLAIN_KD | MOST_MIXED | NO_LABELS),
    ("plain_kd", True): (PLAIN_KD, PLAIN_KD | SOME_MIXED, PLAIN_KD | NO_LABELS),
    ("tdmr", False): (MOST_MIXED | NO_LABELS, MOST_MIXED | NO_LABELS | HALF, HALF),
    ("tdmr", True): (HALF, WHOLE, HALF | {"pseudo_labels.rounds": 1}),
}


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
        method = "tdmr" if cell.method == "plain_kd" else cell.method
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
                **self.overrides,
            }
        )
        if method == "linear_probe":
            return config.with_values({"signals.num_views": 1})
        images = len(resident_task(config.data).train)
        epochs = round(MAX_STEPS / batches_per_epoch(images, config.distill.batch_size))
        stored = max(1, round(STORED_VIEWS / images))
        return config.with_values({"distill.epochs": epochs, "signals.num_views": stored})

    def __str__(self) -> str:
        """What it is, for people."""
        cell = self.cell
        method = f"{'tuning ' if self.tuning else ''}{cell.method}{' + unlabelled' if cell.unlabeled else ''}"
        return f"{cell.task}, {cell.shots} a class, seed {cell.seed}, {method} {cell.foundation}".rstrip()

    @property
    def key(self) -> str:
        """Equal for equal runs, whenever they are asked for."""
        return hash_json([asdict(self.cell), self.overrides, self.tuning, MAX_STEPS, STORED_VIEWS])


@cache
def resident_task(data: DataConfig) -> Task:
    """A task that stays in memory."""
    return load_task(data)


def tuning_jobs(tasks: Iterable[str], target: str) -> Iterator[Job]:
    """Every configuration of every method, on images that the measurement does not use."""
    for task in tasks:
        for (method, unlabeled), tried in TRIED.items():
            foundation = TUNING_FOUNDATION if method in ("plain_kd", "tdmr") else ""
            cell = Cell(task, method, unlabeled, foundation, target, TUNING_SHOTS, TUNING_SEED)
            yield from (Job(cell, overrides, tuning=True) for overrides in tried)


def measured_cells(tasks: Iterable[str], target: str, shots: Iterable[int], seeds: Iterable[int]) -> Iterator[Cell]:
    """The fewest labels first, then seed after seed, so that at any time what is finished can be compared."""
    for count in shots:
        for seed in seeds:
            for task in (name for name in tasks if count in SHOTS[name]):
                yield Cell(task, "scratch", False, "", target, count, seed)
                yield Cell(task, "self_training", True, "", target, count, seed)
                for foundation in FOUNDATIONS:
                    yield Cell(task, "linear_probe", False, foundation, "", count, seed)
                    for method in ("plain_kd", "tdmr"):
                        yield Cell(task, method, False, foundation, target, count, seed)
                        yield Cell(task, method, True, foundation, target, count, seed)


def chosen(rows: Iterable[Row], cell: Cell) -> Overrides:
    """The tried configuration of a cell's method that was best on val; the first of equals."""
    tried = TRIED.get((cell.method, cell.unlabeled))
    if tried is None:
        return {}
    same = [
        row
        for row in rows
        if row["tuning"] and (row["task"], row["method"], row["unlabeled"]) == (cell.task, cell.method, cell.unlabeled)
    ]
    val = {json.dumps(row["overrides"], sort_keys=True): row["val_top1"] for row in same}
    return max(tried, key=lambda overrides: val.get(json.dumps(overrides, sort_keys=True), 0.0))


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
        "steps": MAX_STEPS * (2 if job.cell.method == "self_training" else 1),
        "curve": curve,
        "seconds": round(perf_counter() - started, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def teacher_on_test(config: TrialConfig, task: Task, outcome: Outcome) -> float | None:
    """Accuracy of the teacher that took part; None if none did."""
    if outcome.program is None:
        return None
    teacher = restore_teacher(config, outcome.program, task.num_classes)
    return evaluate(lambda images: teacher(images).logits, task.test, device=pick_device()).top1


def main(
    full: Annotated[bool, typer.Option(help="a second target, 20 and 50 images a class, 10 seeds")] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="default: 5, or 10 with --full")] = None,
    runs: Annotated[Path, typer.Option(help="finished runs, a line each")] = RUNS,
    workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1,
) -> None:
    """Tune, measure, report; Ctrl-C loses only the runs under way."""
    targets, shots = (TARGETS, (5, 10, 20, 50)) if full else (TARGETS[:1], (5, 10))
    numbers = range(seeds or (10 if full else 5))
    for target in targets:
        tried = run_missing(list(tuning_jobs(SHOTS, target)), run_job, runs, workers)
        cells = measured_cells(SHOTS, target, shots, numbers)
        run_missing([Job(cell, chosen(tried, cell), tuning=False) for cell in cells], run_job, runs, workers)
    write_report(read_runs(runs), runs.parent)


if __name__ == "__main__":
    typer.run(main)
