"""Measure how much accuracy changes with each choice of the method, and keep negative results too.

Run:    python benchmarks/what_matters.py            (run it again after an interruption: finished runs are kept)
        python benchmarks/what_matters.py --only exponential --first-seed 4 --task digits   (on another task)
Cost:   13 minutes on 2 cores for each seed.
Result: results/what_matters.json and .md; every run is a line of results/what_matters.jsonl.

One pair, one task: glyph_cnn with mobilenetv3_small_050 on `script`, with 5 labelled images per class and the other
training images without labels. Differences to the base are paired by seed (labelled subset and initial weights). All
figures are on val, because defaults are chosen by them; test is not read. A few of about fifty settings look better by
chance. Before a default is changed, `--only` tries the setting with other seeds and on the other task.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.older_names import in_first_edition
from benchmarks.results_file import FOLDER, write_results
from benchmarks.resumable import Row, run_missing
from tdmr_ray.data.loading import load_task
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.fit import fit
from tdmr_ray.training.sections import DistillConfig

NAME = "what_matters"
STEPS = 500
BASE: dict[str, Any] = {
    "foundation.name": "glyph_cnn",
    "target.name": "mobilenetv3_small_050",
    "data.shots": 5,
    "data.unlabeled": True,
    "outputs.view_averaging": 0.5,
}
BASES: dict[str, dict[str, Any]] = {
    "script": BASE | {"data.name": "script", "views.strength": 0.5},
    "digits": BASE | {"data.name": "digits"},
}
Settings = dict[str, dict[str, Any]]
"""Changes to the base by label; `steps` is read by this benchmark only."""

MOVING = {"temperature.start": 6.0, "temperature.end": 2.0}
FACTORS: dict[str, Settings] = {
    "prompt": {
        **{f"border {px} px": {"prompt.size_px": px} for px in (2, 4, 8)},
        **{f"overlay {px} px": {"prompt.kind": "overlay", "prompt.size_px": px} for px in (2, 4, 8)},
        "masked, whole image": {"prompt.kind": "masked", "prompt.size_px": 16, "prompt.lr": 0.01},
    },
    "mapping": {
        kind: {"mapping.kind": kind}
        for kind in ("random", "frequency", "iterative", "bayesian", "bayesian_plus", "prototype")
    },
    "temperature schedule": {
        **{f"constant {value:g}": {"temperature.start": value} for value in (1.0, 6.0)},
        **{
            kind: {"temperature.schedule": kind, **MOVING}
            for kind in ("linear", "cosine", "exponential", "step", "learned")
        },
    },
    "stages": {str(count): {"distill.num_stages": count} for count in (2, 3, 4)},
    "loss": {
        **{kind: {"loss.kind": kind} for kind in ("mse", "dist", "dkd")},
        "kl, standardized logits": {"loss.standardize": True, "temperature.start": 2.0},
    },
    "alignment": {
        **{f"cka, weight {weight:g}": {"distill.alignment_weight": weight} for weight in (0.0, 1.0, 20.0)},
        "projection, weight 5": {"alignment.kind": "project"},
    },
    "labels": {f"weight {weight:g}": {"distill.labels_weight": weight} for weight in (0.0, 1.0)},
    "unlabelled images": {"left out": {"data.unlabeled": False}},
    "view averaging": {f"{share:g}": {"outputs.view_averaging": share} for share in (0.0, 1.0)},
    "label propagation, neighbours": {f"{count}": {"outputs.propagation_neighbors": count} for count in (3, 6, 12)},
    "batch size": {f"{size}": {"distill.batch_size": size} for size in (32, 128)},
    "batch size, same number of images": {
        f"{size}": {"distill.batch_size": size, "steps": STEPS * DistillConfig().batch_size // size}
        for size in (32, 128)
    },
    "mixed views": {f"{share:g}": {"views.mix": share} for share in (0.3, 0.7)},
    "learning rate": {f"{rate:g}": {"distill.lr": rate} for rate in (0.006, 0.02)},
    "gradient clipping": {"none": {"distill.clip_norm": 1e9}},
    "strength of views": {f"{factor:g}": {"views.strength": factor} for factor in (0.25, 1.0)},
    "self-distillation": {"weight 0.5, 3 stages": {"distill.self_distillation_weight": 0.5, "distill.num_stages": 3}},
    "pseudo-labels of the teacher": {"1 round": {"pseudo_labels.rounds": 1}},
}


@dataclass(frozen=True)
class Job:
    """One setting with one seed."""

    task: str
    factor: str
    label: str
    overrides: dict[str, Any]
    seed: int

    def __str__(self) -> str:
        return f"{self.task}, {self.factor} {self.label}, seed {self.seed}"

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        base, overrides = in_first_edition(BASES[self.task]), in_first_edition(self.overrides)
        return hash_json([base, overrides, self.seed, STEPS])


def plan(task: str, seeds: Iterable[int], only: Sequence[str] = ()) -> list[Job]:
    """Return the base and all settings, or those whose name contains one of the texts, seed after seed."""
    settings = [
        (factor, label, values)
        for factor, group in FACTORS.items()
        for label, values in group.items()
        if not only or any(text in f"{factor}: {label}" for text in only)
    ]
    return [Job(task, *setting, seed) for seed in seeds for setting in [("base", "", dict[str, Any]()), *settings]]


def run_job(job: Job) -> Row:
    """Train on one core and return the accuracy on val."""
    torch.set_num_threads(1)
    values = {**BASES[job.task], **job.overrides, "seed": job.seed, "data.shots_seed": job.seed}
    steps = values.pop("steps", STEPS)
    config = TrialConfig().with_values(values)
    task = load_task(config.data)
    epochs = round(steps / batches_per_epoch(len(task.train), config.distill.batch_size))
    outcome = fit(config.with_values({"distill.epochs": epochs}), task, lambda _: None)
    return {**name_row(job), "val_top1": outcome.metrics["val/top1"]}


def name_row(job: Job) -> Row:
    """Return the entries of a row that name its run."""
    return {"task": job.task, "factor": job.factor, "label": job.label, "seed": job.seed}


def with_todays_names(jobs: Sequence[Job], rows: Iterable[Row]) -> list[Row]:
    """Return rows with the names that their jobs have today; recorded rows may have older ones."""
    names = {job.key: name_row(job) for job in jobs}
    return [{**row, **names[row["key"]]} for row in rows]


def gains_over_base(rows: list[Row]) -> tuple[Estimate, dict[tuple[str, str], Estimate]]:
    """Return the base's accuracy, and the gain of each setting over it by factor and label."""
    scores: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        scores.setdefault((row["factor"], row["label"]), {})[row["seed"]] = row["val_top1"]
    base = scores.pop(("base", ""))
    gains = {setting: paired_difference(own, base) for setting, own in scores.items()}
    return estimate(list(base.values())), {setting: gain for setting, gain in gains.items() if gain is not None}


def ranges_of(gains: Mapping[tuple[str, str], Estimate]) -> dict[str, float]:
    """Return the range of the means of each factor's settings, base included; the widest first."""
    means: dict[str, list[float]] = {}
    for (factor, _), gain in gains.items():
        means.setdefault(factor, [0.0]).append(gain.mean)
    ranges = {factor: max(values) - min(values) for factor, values in means.items()}
    return dict(sorted(ranges.items(), key=lambda item: -item[1]))


def render(base: Estimate, gains: Mapping[tuple[str, str], Estimate]) -> str:
    """Return two Markdown tables."""
    lines = [
        f"Base: {100 * base.mean:.1f} % on val, {base.n} seeds, {STEPS} steps. Differences in points, with the paired"
        " 95 % interval.",
        "",
        "| choice | setting | against the base |",
        "|---|---|--:|",
    ]
    for (factor, label), gain in gains.items():
        spread = "" if gain.low is None or gain.high is None else f" [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"
        lines.append(f"| {factor} | {label} | {100 * gain.mean:+.1f}{spread} |")
    lines += ["", "| choice | range of the means |", "|---|--:|"]
    lines += [f"| {factor} | {100 * width:.1f} |" for factor, width in ranges_of(gains).items()]
    return "\n".join(lines) + "\n"


def keep(base: Estimate, gains: Mapping[tuple[str, str], Estimate]) -> None:
    """Write tables and figures to the results."""
    figures: dict[str, float | Estimate] = {"base": base}
    figures |= {f"{factor}: {label}": gain for (factor, label), gain in gains.items()}
    figures |= {f"range of {factor}": width for factor, width in ranges_of(gains).items()}
    print(write_results(NAME, figures))
    (FOLDER / f"{NAME}.md").write_text(render(base, gains), encoding="utf-8")


def main(
    task: Annotated[Literal["script", "digits"], typer.Option(help="data set")] = "script",
    only: Annotated[
        list[str] | None, typer.Option(help="only settings with this text in their name; printed, not kept")
    ] = None,
    first_seed: Annotated[int, typer.Option(min=0)] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="number of labelled subsets and initial weights")] = 4,
    workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1,
) -> None:
    """Run missing settings, then report; Ctrl-C loses only the runs in progress."""
    jobs = plan(task, range(first_seed, first_seed + seeds), only or ())
    if all(job.factor == "base" for job in jobs):
        raise typer.BadParameter(
            f"must be part of a setting's name, as in results/{NAME}.md, got {only}", param_hint="--only"
        )
    rows = run_missing(jobs, run_job, FOLDER / f"{NAME}.jsonl", workers)
    measured = gains_over_base(with_todays_names(jobs, rows))
    print(render(*measured))
    if (task, only, first_seed) == ("script", None, 0):
        keep(*measured)


if __name__ == "__main__":
    typer.run(main)
