"""Compare how fast samplers and allocations of trials find a good configuration.

Run:    python benchmarks/samplers.py          (run it again after an interruption: recorded trials are kept)
Cost:   about 40 minutes on 2 cores for the recording, then 3 for the searches.
Result: results/samplers.json, .md and .png; every recorded trial is a line of results/samplers.jsonl.

All configurations of a quick space are trained once, on four pairs. Whole searches of 48 trials with early stopping are
then replayed with 30 seeds each: the search draws its configurations, and their curves come from the recording.
"""

import itertools
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any

import matplotlib
import matplotlib.pyplot as plt
import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, write_results
from benchmarks.resumable import Row, read_runs, run_missing
from tdmr_ray.data.loading import load_task
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.runner.trial_record import blank_record
from tdmr_ray.space import Space, Value
from tdmr_ray.space.reading import check_tree
from tdmr_ray.training.config import hash_json
from tdmr_ray.training.fit import fit
from tdmr_ray.tuning.pruning import Rungs
from tdmr_ray.tuning.studies import PairStudies
from tdmr_ray.tuning.trial_spec import TrialSpec

NAME = "samplers"
TRIALS, SEEDS = 48, range(30)
AT = (8, 16, 24, 32, 48)
SPACE: dict[str, Any] = {
    "name": NAME,
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn", "glyph_hybrid"], "targets": ["lcnet_035", "mobilenetv3_small_050"]},
    "budget": {"trials": TRIALS, "epochs": 27},
    "search": {
        "prompt.size_px": {"choices": [0, 4]},
        "mapping.kind": {"choices": ["bayesian", "linear", "prototype"]},
        "temperature.start": {"choices": [1.0, 3.0, 6.0]},
        "distill.num_stages": {"choices": [1, 2]},
        "distill.lr": {"choices": [0.004, 0.012, 0.03]},
    },
    "fixed": {"reprogram.epochs": 3},
}
SEARCHES = list(itertools.product(("tpe", "gp", "nsga2", "random"), ("equal", "adaptive")))
"""Sampler and allocation."""
SIMPLEST = ("random", "equal")
COLOURS = {"tpe": "C0", "gp": "C1", "nsga2": "C2", "random": "C3"}
Curves = Mapping[str, list[float]]


def build_space(**changes: Any) -> Space:
    """Return the quick space with some changes."""
    space, problems = check_tree({**SPACE, **changes})
    assert space is not None, problems
    return space


def build_search(sampler: str, allocation: str, seed: int) -> Space:
    """Return that space with a sampler and an allocation."""
    return build_space(sampler=sampler, budget={**SPACE["budget"], "allocation": allocation}, seed=seed)


def key_of(pair: tuple[str, str], values: Mapping[str, Value]) -> str:
    """Return the key of a configuration, which does not depend on the seed of a search."""
    return hash_json([*pair, sorted(values.items()), SPACE])


@dataclass(frozen=True)
class Recording:
    """One configuration of one pair."""

    pair: tuple[str, str]
    values: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.pair[0]} -> {self.pair[1]} {self.values}"

    @property
    def key(self) -> str:
        """A hash that is equal for equal trials."""
        return key_of(self.pair, self.values)


def all_recordings(space: Space) -> list[Recording]:
    """Return a recording for every configuration of every pair."""
    grids = [[(name, value) for value in parameter.grid or ()] for name, parameter in space.search.items()]
    return [Recording(pair, dict(values)) for pair in space.all_pairs for values in itertools.product(*grids)]


def record(recording: Recording) -> Row:
    """Train a configuration once on one core."""
    torch.set_num_threads(1)
    config = build_space().config(recording.values, *recording.pair)
    curve: list[float] = []
    fit(config, load_task(config.data), lambda metrics: curve.append(round(metrics["val/top1"], 5)))
    return {"pair": recording.pair, "values": recording.values, "curve": curve, "val_top1": curve[-1]}


@dataclass(frozen=True)
class Course:
    """Accuracy on val in % after each trial: the best of all, and the mean over pairs of each one's best."""

    best: list[float]
    mean_of_pairs: list[float]


def replay(space: Space, curves: Curves) -> Course:
    """Replay a whole search; only trials that were not stopped early count as results."""
    studies, rungs = PairStudies(space), Rungs(space.budget.epochs)
    best = dict.fromkeys(studies.studies, 0.0)
    course = Course([], [])
    while (spec := studies.next_spec()) is not None:
        outcome = outcome_of(spec, curves[key_of((spec.pair.foundation, spec.pair.target), spec.values)], rungs)
        studies.tell(spec, outcome)
        if outcome.state == "complete":
            best[spec.pair.name] = max(best[spec.pair.name], outcome.curve[-1])
        course.best.append(100 * max(best.values()))
        course.mean_of_pairs.append(100 * fmean(best.values()))
    return course


def outcome_of(spec: TrialSpec, curve: list[float], rungs: Rungs) -> TrialRecord:
    """Return a recorded trial, up to the epoch where early stopping ends it."""
    length = next(
        (
            epoch
            for epoch, score in enumerate(curve, 1)
            if not rungs.should_continue(spec.pair.name, spec.id, epoch, score)
        ),
        len(curve),
    )
    state = "complete" if length == len(curve) else "pruned"
    update = {"state": state, "curve": curve[:length], "metrics": {"val/top1": curve[length - 1]}}
    return blank_record(spec).model_copy(update=update)


Search = tuple[str, str]
Results = Mapping[Search, list[Course]]
"""The courses of each kind of search, in the order of the seeds."""


def report(results: Results, ceiling: Course) -> None:
    """Print and keep tables, figures and plot."""
    figures: dict[str, float | Estimate] = {}
    text = f"Accuracy on val so far in %, mean of {len(SEEDS)} searches; the best configurations would give"
    text += f" {ceiling.best[0]:.2f} and {ceiling.mean_of_pairs[0]:.2f}.\nDifferences after {TRIALS} trials in points,"
    text += " with 95 % intervals, paired by seed.\n"
    for title, of in (("best of all pairs", "best"), ("mean over pairs of each one's best", "mean_of_pairs")):
        lines = table(title, {name: [getattr(course, of) for course in several] for name, several in results.items()})
        text += "\n" + "\n".join(lines) + "\n"
        for name, several in results.items():
            figures |= {
                f"{', '.join(name)}: {of} at {n}": estimate([getattr(each, of)[n - 1] for each in several]) for n in AT
            }
    print(text)
    (FOLDER / f"{NAME}.md").write_text(text, encoding="utf-8")
    draw(results, ceiling)
    print(write_results(NAME, figures))


def table(title: str, results: Mapping[Search, list[list[float]]]) -> list[str]:
    """Return a row for each kind of search: accuracy after numbers of trials, and differences at the end."""
    counts = "".join(f" {count} trials |" for count in AT)
    head = f"| {title} |{counts} against {', '.join(SIMPLEST)} | adaptive against equal |"
    lines = [head, "|---|" + "--:|" * (len(AT) + 2)]
    for (sampler, allocation), several in results.items():
        cells = [f"{fmean(course[count - 1] for course in several):.2f}" for count in AT]
        cells.append("" if (sampler, allocation) == SIMPLEST else difference(several, results[SIMPLEST]))
        cells.append(difference(several, results[sampler, "equal"]) if allocation == "adaptive" else "")
        lines.append(f"| {sampler}, {allocation} | {' | '.join(cells)} |")
    return lines


def difference(several: list[list[float]], others: list[list[float]]) -> str:
    """Return the paired difference of the accuracies at the end, with its interval."""
    ends = [dict(enumerate(course[-1] for course in each)) for each in (several, others)]
    gain = paired_difference(*ends)
    assert gain is not None and gain.low is not None and gain.high is not None, "several seeds"
    return f"{gain.mean:+.2f} [{gain.low:+.2f}, {gain.high:+.2f}]"


def draw(results: Results, ceiling: Course) -> None:
    """Plot both accuracies over trials."""
    matplotlib.use("Agg")
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4))
    for axis, of, title in zip(axes, ("best", "mean_of_pairs"), ("best of all pairs", "mean of pairs"), strict=True):
        for name, several in results.items():
            means = [fmean(values) for values in zip(*(getattr(each, of) for each in several), strict=True)]
            colour, style = COLOURS[name[0]], "-" if name[1] == "equal" else "--"
            axis.plot(range(1, len(means) + 1), means, color=colour, linestyle=style, label=", ".join(name))
        top = getattr(ceiling, of)[0]
        axis.axhline(top, color="#888888", linestyle=":", label="best configurations")
        axis.set(xlabel="trials", title=f"{title}, accuracy on val so far in %", ylim=(top - 6, top + 0.5))
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(FOLDER / f"{NAME}.png", dpi=110)
    plt.close(figure)


def best_possible(rows: Iterable[Row]) -> Course:
    """Return the course of the best configuration of each pair, without early stopping."""
    best: dict[str, float] = {}
    for row in rows:
        pair = str(row["pair"])
        best[pair] = max(best.get(pair, 0.0), 100 * row["val_top1"])
    return Course([max(best.values())], [fmean(best.values())])


def main(workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1) -> None:
    """Record missing configurations, replay the searches and report."""
    path = FOLDER / f"{NAME}.jsonl"
    run_missing(all_recordings(build_space()), record, path, workers)
    rows = read_runs(path)
    curves = {row["key"]: row["curve"] for row in rows}
    results = {
        (sampler, allocation): [replay(build_search(sampler, allocation, seed), curves) for seed in SEEDS]
        for sampler, allocation in SEARCHES
    }
    report(results, best_possible(rows))


if __name__ == "__main__":
    typer.run(main)
