"""Compare objectives and class weights on an imbalanced set: the digit eight against the other nine.

Run:    python benchmarks/imbalance.py
Cost:   7 minutes of CPU time on a busy machine; `--workers 2` uses two cores.
Result: results/imbalance.json and .md.

One image in 20 is an eight in train (400 images), val (300) and test (1,000). `scratch` and TDMR train with each
objective, which chooses the best epoch, and with each setting of `distill.class_weights`. TDMR's objective chooses the
teacher's epoch too, the state before the training included. Each of five seeds draws the three splits, the initial
weights and the views; it is the same for all settings. Differences are therefore paired by seed. Val has 15 eights, so
one of them moves its balanced accuracy by 3 points. The trainings are short: figures show differences, not what the
methods reach with more steps.
"""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Annotated

import numpy as np
import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.data.builtin import load_digits
from tdmr_ray.data.task import Task
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.steps import with_steps
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher, teacher_key

NAME, CLASSES = "imbalance", ("rest", "eight")
SIZES = {"train": 400, "val": 300, "test": 1000}
IMAGE_PX = 16
SHARE_OF_EIGHTS = 0.05
METHODS = {"scratch": "", "tdmr": "glyph_vit"}
"""Foundation of each method."""
TARGET = "lcnet_050"
TRAINING = {"distill.batch_size": 32, "distill.lr": 0.006, "views.strength": 0.2}
"""Settings with which few steps on a small set suffice."""
OBJECTIVES, WEIGHTS = ("top1", "balanced_accuracy"), ("none", "balanced")
MEASURED = {
    "top1": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "eight": "recall of eights",
    "rest": "recall of the rest",
}
"""Heads of the columns."""


@dataclass(frozen=True)
class Setting:
    """What is compared."""

    method: str
    weights: str
    objective: str


Measured = dict[Setting, dict[str, dict[int, float]]]
"""Figures on test by setting, by the names in `MEASURED`, and by seed."""


def draw_task(seed: int) -> Task:
    """Draw train, val and test, each with the same share of eights."""
    digits, rng = load_digits(), np.random.default_rng(seed)
    images, is_eight = digits.images.numpy(), digits.labels.numpy() == 8
    eights, rest = (rng.permutation(np.flatnonzero(is_eight == wanted)) for wanted in (True, False))
    parts = {}
    for name, size in SIZES.items():
        count = round(size * SHARE_OF_EIGHTS)
        rows = np.concatenate([eights[:count], rest[: size - count]])
        eights, rest = eights[count:], rest[size - count :]
        parts[name] = images[rows], is_eight[rows].astype(np.int64)
    train, val, test = parts.values()
    return Task.from_arrays(*train, val=val, test=test, class_names=CLASSES, image_px=IMAGE_PX)


def measure(setting: Setting, seed: int, task: Task, steps: int, teachers: dict[str, TeacherArtifact]) -> list[float]:
    """Train, and return the figures on test in the order of `MEASURED`.

    Args:
        setting: What to train.
        seed: Seed of the task; initial weights and views follow it too.
        task: The images.
        steps: Optimisation steps of the target.
        teachers: Teachers that were made already, by key; a new one is added.
    """
    config = TrialConfig().with_values(
        {
            "method": setting.method,
            "foundation.name": METHODS[setting.method],
            "target.name": TARGET,
            "distill.class_weights": setting.weights,
            "objective": setting.objective,
            "seed": seed,
            **TRAINING,
        }
    )

    def provide(trial: TrialConfig, images: Task) -> TeacherArtifact:
        key = teacher_key(trial, images.fingerprint)
        return teachers.setdefault(key, teachers.get(key) or make_teacher(trial, images))

    outcome = fit(with_steps(config, task, steps), task, lambda _: None, provider=provide, read_test=True)
    assert outcome.test is not None, "test was read"
    rest, eight = (row[number] / sum(row) for number, row in enumerate(outcome.test.confusion))
    return [outcome.metrics["test/top1"], outcome.metrics["test/balanced_accuracy"], eight, rest]


def run_seed(settings: Sequence[Setting], steps: int, seed: int) -> tuple[list[list[float]], float]:
    """Measure all settings with one seed on one core; return their figures and the CPU seconds."""
    torch.set_num_threads(1)
    started, task, teachers = process_time(), draw_task(seed), dict[str, TeacherArtifact]()
    return [measure(setting, seed, task, steps, teachers) for setting in settings], process_time() - started


def compare(measured: Measured) -> tuple[list[str], dict[str, float | Estimate]]:
    """Return a table of figures, one of differences, and all of them by name."""
    heads = list(MEASURED.values())
    figures: dict[str, float | Estimate] = {}
    levels = [_line(["method", "class weights", "objective", *heads]), _rule(3)]
    for setting, found in measured.items():
        means = {name: estimate(list(values.values())) for name, values in found.items()}
        start = f"{setting.method}/{setting.weights}/{setting.objective}"
        figures |= {f"{start}/{name}": value for name, value in means.items()}
        levels.append(_line([setting.method, setting.weights, setting.objective, *map(points, means.values())]))
    gains = [_line(["method", "change", "with", *heads]), _rule(3)]
    for first, second, change, condition in changes():
        paired = {name: paired_difference(measured[second][name], measured[first][name]) for name in MEASURED}
        known = {name: value for name, value in paired.items() if value is not None}
        figures |= {f"{first.method}/{change}/{condition}/{name}": value for name, value in known.items()}
        gains.append(_line([first.method, change, condition, *(points(each, sign=True) for each in known.values())]))
    return [*levels, "", "Differences in points, paired by seed:", "", *gains], figures


def changes() -> Iterator[tuple[Setting, Setting, str, str]]:
    """Yield the pairs of settings that differ in one thing, with a name for it and for what stays."""
    for method in METHODS:
        for weights in WEIGHTS:
            first, second = (Setting(method, weights, objective) for objective in OBJECTIVES)
            yield first, second, "objective: balanced accuracy less top1", f"class weights {weights}"
        for objective in OBJECTIVES:
            first, second = (Setting(method, weights, objective) for weights in WEIGHTS)
            yield first, second, "class weights: balanced less none", f"objective {objective}"


def points(value: Estimate, *, sign: bool = False) -> str:
    """Format mean and interval in percent; without a sign it is a share, whose interval ends at 0 and 100."""
    form, (least, most) = ("{:+.1f}", (-1.0, 1.0)) if sign else ("{:.1f}", (0.0, 1.0))
    known = (min(max(each, least), most) for each in (value.mean, value.low, value.high) if each is not None)
    mean, *ends = (form.format(100 * each) for each in known)
    return f"{mean} [{', '.join(ends)}]" if ends else mean


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(num_names: int) -> str:
    return "|" + "---|" * num_names + "--:|" * len(MEASURED)


def main(
    seeds: Annotated[int, typer.Option(help="Number of seeds.")] = 5,
    steps: Annotated[int, typer.Option(help="Optimisation steps of each target.")] = 225,
    workers: Annotated[int, typer.Option(help="Number of processes.")] = 1,
) -> None:
    """Measure, print and keep the figures."""
    settings = [Setting(*each) for each in product(METHODS, WEIGHTS, OBJECTIVES)]
    measured: Measured = {setting: {name: {} for name in MEASURED} for setting in settings}
    cpu_seconds = 0.0
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for seed, (rows, seconds) in enumerate(pool.map(partial(run_seed, settings, steps), range(seeds))):
            cpu_seconds += seconds
            for setting, values in zip(settings, rows, strict=True):
                print(f"seed {seed}, {setting}: {[round(value, 3) for value in values]}", flush=True)
                for name, value in zip(MEASURED, values, strict=True):
                    measured[setting][name][seed] = value
    lines, figures = compare(measured)
    first = f"{SIZES['train']} labelled images, {steps} steps, {seeds} seeds; {TARGET}, TDMR with {METHODS['tdmr']}."
    show_and_keep(NAME, [first, "", *lines], {**figures, "cpu_seconds": cpu_seconds})


if __name__ == "__main__":
    typer.run(main)
