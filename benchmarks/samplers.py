"""Which sampler and which allocation of trials finds a good configuration first?

Run:    python benchmarks/samplers.py          (after a stop, again: recorded trials are kept and not run twice)
Cost:   about 40 minutes on 2 cores for the recording, then 5 for the searches.
Result: results/samplers.json, .md and .png; every recorded trial is a line of results/samplers.jsonl.

All configurations of a quick space are trained once, on four pairs. Then whole searches of 48 trials, with early
stopping, are replayed from these curves with 10 seeds each: what a search draws is its own, what comes out is recorded.
"""

import itertools
import os
import sys
from collections.abc import Mapping
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
from tdmr_ray.data.task import load_task
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.runner.asha import Rungs
from tdmr_ray.runner.events import blank_record
from tdmr_ray.runner.jobs import Job
from tdmr_ray.runner.studies import PairStudies
from tdmr_ray.space import Space, Value
from tdmr_ray.space_file import check_tree
from tdmr_ray.training.config import hash_json
from tdmr_ray.training.fit import fit

NAME = "samplers"
TRIALS, SEEDS = 48, range(10)
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
SEARCHES = {
    "tpe": {"sampler": "tpe"},
    "gp": {"sampler": "gp"},
    "nsga2": {"sampler": "nsga2"},
    "random": {"sampler": "random"},
    "tpe, adaptive": {"sampler": "tpe", "budget": {**SPACE["budget"], "allocation": "adaptive"}},
}
Curves = Mapping[str, list[float]]


def build_space(**changes: Any) -> Space:
    """The quick space."""
    space, problems = check_tree({**SPACE, **changes})
    assert space is not None, problems
    return space


def place_of(pair: tuple[str, str], values: Mapping[str, Value]) -> str:
    """The name of a configuration in the table, whatever the seed of a search."""
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
        """Equal for equal trials."""
        return place_of(self.pair, self.values)


def all_recordings(space: Space) -> list[Recording]:
    """The whole grid."""
    grids = [[(name, value) for value in parameter.grid or ()] for name, parameter in space.search.items()]
    return [Recording(pair, dict(values)) for pair in space.all_pairs for values in itertools.product(*grids)]


def record(recording: Recording) -> Row:
    """Train it once on one core."""
    torch.set_num_threads(1)
    config = build_space().config(recording.values, *recording.pair)
    curve: list[float] = []
    fit(config, load_task(config.data), lambda metrics: curve.append(round(metrics["val/top1"], 5)))
    return {"pair": recording.pair, "values": recording.values, "curve": curve, "val_top1": curve[-1]}


def replay(space: Space, curves: Curves) -> list[float]:
    """The best accuracy on val after each trial of a search."""
    studies, rungs, best = PairStudies(space), Rungs(space.budget.epochs), [0.0]
    while (job := studies.next_job()) is not None:
        outcome = outcome_of(job, curves[place_of((job.pair.foundation, job.pair.target), job.values)], rungs)
        studies.tell(job, outcome)
        best.append(max(best[-1], outcome.curve[-1]))
    return best[1:]


def outcome_of(job: Job, curve: list[float], rungs: Rungs) -> TrialRecord:
    """A recorded trial, as far as early stopping lets it go."""
    length = next(
        (epoch for epoch, score in enumerate(curve, 1) if not rungs.goes_on(job.pair.name, job.id, epoch, score)),
        len(curve),
    )
    state = "complete" if length == len(curve) else "pruned"
    update = {"state": state, "curve": curve[:length], "metrics": {"val/top1": curve[length - 1]}}
    return blank_record(job).model_copy(update=update)


def report(results: Mapping[str, Mapping[int, list[float]]], ceiling: float) -> None:
    """Print and keep the table, the figures and the plot."""
    head = "".join(f" {count} trials |" for count in AT)
    lines = [
        f"Best accuracy on val so far in %, mean of {len(SEEDS)} searches; the best of all {ceiling:.2f}."
        f" In brackets the difference to random after {TRIALS} trials in points, 95 % interval, paired by seed.",
        "",
        f"| search |{head} against random |",
        "|---|" + "--:|" * (len(AT) + 1),
    ]
    figures: dict[str, float | Estimate] = {}
    for name, by_seed in results.items():
        cells = []
        for count in AT:
            values = [100 * best[count - 1] for best in by_seed.values()]
            figures[f"{name} at {count}"] = estimate(values)
            cells.append(f"{fmean(values):.2f}")
        gain = paired_difference(
            {seed: best[-1] for seed, best in by_seed.items()}, {s: b[-1] for s, b in results["random"].items()}
        )
        assert gain is not None and gain.low is not None and gain.high is not None, "ten seeds"
        shown = f"{100 * gain.mean:+.2f} [{100 * gain.low:+.2f}, {100 * gain.high:+.2f}]"
        lines.append(f"| {name} | {' | '.join(cells)} | {shown if name != 'random' else ''} |")
    text = "\n".join(lines) + "\n"
    print(text)
    (FOLDER / f"{NAME}.md").write_text(text, encoding="utf-8")
    draw(results, ceiling)
    print(write_results(NAME, figures))


def draw(results: Mapping[str, Mapping[int, list[float]]], ceiling: float) -> None:
    """Best so far over trials."""
    matplotlib.use("Agg")
    figure, axis = plt.subplots(figsize=(7, 4.4))
    for name, by_seed in results.items():
        means = [100 * fmean(values) for values in zip(*by_seed.values(), strict=True)]
        axis.plot(range(1, len(means) + 1), means, label=name)
    axis.axhline(ceiling, color="#888888", linestyle=":", label="best of all")
    axis.set(xlabel="trials", ylabel="best accuracy on val so far in %", ylim=(ceiling - 8, ceiling + 0.5))
    axis.legend()
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(FOLDER / f"{NAME}.png", dpi=110)
    plt.close(figure)


def main(workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1) -> None:
    """Record what is missing, replay, report."""
    path = FOLDER / f"{NAME}.jsonl"
    run_missing(all_recordings(build_space()), record, path, workers)
    curves = {row["key"]: row["curve"] for row in read_runs(path)}
    results = {
        name: {seed: replay(build_space(**changes, seed=seed), curves) for seed in SEEDS}
        for name, changes in SEARCHES.items()
    }
    report(results, 100 * max(curve[-1] for curve in curves.values()))


if __name__ == "__main__":
    typer.run(main)
