"""Measure which estimator of centred kernel alignment teaches better, the biased or the debiased one.

Run:    python benchmarks/cka_estimator.py            (run it again after an interruption: finished runs are kept)
Cost:   about 8 minutes on one core.
Result: results/cka_estimator.json and .md; every run is a line of results/cka_estimator.jsonl.

glyph_vit teaches mobilenetv3_small_050 on both built-in tasks, with 5 labelled images a class and the other training
images without labels. Seeds draw the labelled subset and the initial weights, and no reported result uses them.
Both estimators learn from the same teacher for 250 steps. Figures are on val, since they choose a default. After 250
steps `script` has hardly begun to learn, so its figures speak of the start of a training only.
`independent` is the mean score of unrelated features that are 1,024 and 128 wide, in batches of 64.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, show_and_keep
from benchmarks.resumable import Row, run_missing
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.method.alignments.cka import Estimator, cka_distance
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.fit import fit
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher

NAME = "cka_estimator"
STEPS, FIRST_SEED = 250, 300
BASE: dict[str, Any] = {
    "foundation.name": "glyph_vit",
    "target.name": "mobilenetv3_small_050",
    "data.shots": 5,
    "data.unlabeled": True,
    "outputs.view_averaging": 0.5,
}
TASKS: dict[str, dict[str, Any]] = {"digits": {}, "script": {"views.strength": 0.5}}
BIASED, DEBIASED = "biased", "debiased"
SETTINGS: dict[str, dict[str, Any]] = {name: {"alignment.estimator": name} for name in (BIASED, DEBIASED)}
WIDTHS, BATCH_SIZE, NUM_BATCHES = (1024, 128), 64, 100


@dataclass(frozen=True)
class Job:
    """One setting on one task with one seed."""

    task: str
    seed: int
    setting: str

    def __str__(self) -> str:
        return f"{self.task}, seed {self.seed}, {self.setting}"

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        return hash_json([BASE, TASKS[self.task], self.seed, SETTINGS[self.setting], STEPS])

    @property
    def config(self) -> TrialConfig:
        """The trial, whose number of epochs depends on the task's images."""
        seeds = {"seed": self.seed, "data.shots_seed": self.seed, "data.name": self.task}
        return TrialConfig().with_values({**BASE, **TASKS[self.task], **seeds, **SETTINGS[self.setting]})


@lru_cache(maxsize=1)
def task_and_teacher(task: str, seed: int) -> tuple[Task, TeacherArtifact]:
    """Load a task and make the teacher that all its settings share."""
    config = Job(task, seed, BIASED).config
    images = load_task(config.data)
    return images, make_teacher(config, images)


def run_job(job: Job) -> Row:
    """Train on one core and return the accuracy on val."""
    torch.set_num_threads(1)
    task, teacher = task_and_teacher(job.task, job.seed)
    epochs = round(STEPS / batches_per_epoch(len(task.train), job.config.distill.batch_size))
    config = job.config.replace(distill__epochs=epochs)
    outcome = fit(config, task, lambda _: None, provider=lambda config, task: teacher)
    return {
        **asdict(job),
        "val_top1": outcome.metrics["val/top1"],
        "val_loss": outcome.metrics["val/log_loss"],
        "teacher_val_top1": teacher.val_top1,
    }


def score_of_independent(estimator: Estimator) -> Estimate:
    """Return the mean CKA of independent features over batches."""
    random = torch.Generator().manual_seed(0)
    batches = [[torch.randn(BATCH_SIZE, width, generator=random) for width in WIDTHS] for _ in range(NUM_BATCHES)]
    return estimate([float(1 - cka_distance(*pair, estimator=estimator)) for pair in batches])


def by_seed(rows: Sequence[Row], task: str, setting: str, figure: str) -> dict[int, float]:
    """Return a figure of one setting on one task, by seed."""
    return {row["seed"]: row[figure] for row in rows if (row["task"], row["setting"]) == (task, setting)}


def report(rows: Sequence[Row]) -> None:
    """Print and keep accuracies, and differences that are paired by seed."""
    figures: dict[str, float | Estimate] = {
        "independent, biased": score_of_independent("biased"),
        "independent, debiased": score_of_independent("debiased"),
    }
    lines = ["| task | setting | val % | less biased, points | val log loss less biased |", "|---|---|--:|--:|--:|"]
    for task in TASKS:
        for setting in SETTINGS:
            top1 = by_seed(rows, task, setting, "val_top1")
            figures[f"{task}, {setting}"] = estimate(list(top1.values()))
            cells = [task, setting, f"{100 * sum(top1.values()) / len(top1):.1f}"]
            for figure, factor in (("val_top1", 100), ("val_loss", 1)):
                own = by_seed(rows, task, setting, figure)
                gain = paired_difference(own, by_seed(rows, task, BIASED, figure)) if setting != BIASED else None
                cells.append(_with_interval(gain, factor) if gain else "")
                if gain:
                    figures[f"{task}, {setting} less biased, {figure}"] = gain
            lines.append(f"| {' | '.join(cells)} |")
    for estimator in (BIASED, DEBIASED):
        value = figures[f"independent, {estimator}"]
        assert isinstance(value, Estimate)
        lines.append(f"\nIndependent features score {value.mean:.3f} by the {estimator} estimator.")
    show_and_keep(NAME, lines, figures, notes={"steps": STEPS})


def _with_interval(value: Estimate, factor: int) -> str:
    ends = [f"{factor * end:+.2f}" for end in (value.low, value.high) if end is not None]
    return f"{factor * value.mean:+.2f} [{', '.join(ends)}]"


def main(
    seeds: Annotated[int, typer.Option(min=2, help="number of labelled subsets and initial weights")] = 4,
    workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = 1,
) -> None:
    """Run missing settings, then report; Ctrl-C loses only the run in progress."""
    numbers = range(FIRST_SEED, FIRST_SEED + seeds)
    jobs = [Job(task, seed, setting) for seed in numbers for task in TASKS for setting in SETTINGS]
    report(run_missing(jobs, run_job, FOLDER / f"{NAME}.jsonl", workers))


if __name__ == "__main__":
    typer.run(main)
