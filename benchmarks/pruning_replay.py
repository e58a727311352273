"""Compare rules of early stopping by replaying the recorded curves of `samplers.py`.

Run:    python benchmarks/pruning_replay.py
Cost:   about two minutes on 2 cores.
Result: results/pruning_replay.json and .md.

`results/samplers.jsonl` holds 108 configurations of each of four pairs, all trained to the end. A simulated search
draws them in a random order and runs two at a time. Only trials that end count. The rules were chosen on two of the
pairs and are reported on the other two, which have another target for each foundation. Regret is measured in points:

- after 12 and 24 trials, against the best of those trials, together with the share of their epochs that were trained;
- with equal epochs, against the best of all 108; the mean over budgets of 8 to 24 full trials.

The regret with equal epochs chose, on the first half, among the rules that lose no more after 12 and 24 trials than the
former rule. Margins in points or standard errors were left out of the choice: an objective such as log loss has no such
unit. The choice rests on small differences: a third of a range with a third rung is 0.0004 points behind, and the
tables of both halves had been seen before one was preferred to the other.

Intervals are t intervals over pairs and orders; orders of one pair share its curves, so that they do not speak of other
tasks. The rank correlation is Spearman's, between the score after an epoch and the end of the run.
"""

import os
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Protocol

import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, show_and_keep
from benchmarks.resumable import read_runs
from tdmr_ray.report.statistics import Estimate, estimate
from tdmr_ray.tuning.pruning import Rungs, rung_epochs

NAME = "pruning_replay"
EPOCHS, SLOTS, ORDERS, NUM_VAL = 27, 2, 40, 359
COUNTS = (12, 24)
BUDGETS = [EPOCHS * half / 2 for half in range(16, 49)]
HALVES = {
    "chosen on": (("glyph_cnn", "lcnet_035"), ("glyph_hybrid", "mobilenetv3_small_050")),
    "reported on": (("glyph_cnn", "mobilenetv3_small_050"), ("glyph_hybrid", "lcnet_035")),
}
FORMER, SHIPPED = "former: best third at 9", "shipped: best third at 9, 14, or within 1/4 IQR"
Pair = tuple[str, str]
Samples = Mapping[str, list[float]]
"""Measurements of a rule by name, one for each pair and order."""


@dataclass(frozen=True)
class Trial:
    """A recorded run."""

    id: str
    stages: int
    lr: float
    curve: tuple[float, ...]


class Rule(Protocol):
    """A rule of early stopping in a simulated search."""

    def should_continue(self, trial: Trial, epoch: int) -> bool:
        """Decide after an epoch, which is not the last one."""

    def finished(self, trial: Trial) -> None:
        """Learn that a trial has ended."""


class Never:
    """Stops no trial."""

    def should_continue(self, trial: Trial, epoch: int) -> bool:
        """Return True."""
        return True

    def finished(self, trial: Trial) -> None:
        """Learn nothing."""


class Shipped(Never):
    """The rule of the package."""

    def __init__(self) -> None:
        self.rungs = Rungs(EPOCHS)

    def should_continue(self, trial: Trial, epoch: int) -> bool:
        """Ask the package."""
        return self.rungs.should_continue("pair", trial.id, epoch, trial.curve[epoch - 1])


Margin = Callable[[Sequence[float], float], float]
"""Lead that does not count, from the scores at a rung and the trial's own."""


@dataclass(frozen=True)
class Points:
    """A fixed margin."""

    size: float

    def __call__(self, scores: Sequence[float], own: float) -> float:
        """Return the margin."""
        return self.size


@dataclass(frozen=True)
class StandardErrors:
    """A margin in standard errors of an accuracy on val."""

    factor: float

    def __call__(self, scores: Sequence[float], own: float) -> float:
        """Return the margin."""
        return self.factor * sqrt(own * (1 - own) / NUM_VAL)


@dataclass(frozen=True)
class Quartiles:
    """A margin in interquartile ranges of the scores at the rung."""

    factor: float

    def __call__(self, scores: Sequence[float], own: float) -> float:
        """Return the margin."""
        lower, upper = np.percentile(scores, (25, 75))
        return self.factor * float(upper - lower)


class Halving:
    """Successive halving with its variants.

    Args:
        rungs: Epochs.
        reduction: One in so many trials continues.
        margin: Lead that does not count.
        within: Compare trials with the same number of stages only.
        gains: Add to a score what finished trials with as many stages gained from there to the end.
    """

    def __init__(
        self,
        rungs: tuple[int, ...],
        reduction: float,
        margin: Margin = Points(0.0),
        *,
        within: bool = False,
        gains: bool = False,
    ) -> None:
        self.rungs, self.reduction, self.margin, self.within, self.gains = rungs, reduction, margin, within, gains
        self.known: dict[tuple[int, int], dict[str, Trial]] = defaultdict(dict)
        self.ended: list[Trial] = []

    def should_continue(self, trial: Trial, epoch: int) -> bool:
        """Compare the trial at a rung."""
        number = self.number_of(trial, epoch)
        if number is None:
            return True
        known = self.known[trial.stages if self.within else 0, number]
        known[trial.id] = trial
        scores = [self.score_of(other, number) for other in known.values()]
        own = self.score_of(trial, number)
        limit = own + self.margin(scores, min(max(own, 0.0), 1.0))
        return sum(score > limit for score in scores) < 1 + int((len(scores) - 1) / self.reduction)

    def number_of(self, trial: Trial, epoch: int) -> int | None:
        """Return which rung of the trial an epoch is."""
        return self.rungs.index(epoch) if epoch in self.rungs else None

    def score_of(self, trial: Trial, number: int) -> float:
        """Return what is compared at a rung."""
        epoch = self.rungs[number]
        if not self.gains or not self.ended:
            return trial.curve[epoch - 1]
        gained = {other.id: other.curve[-1] - other.curve[epoch - 1] for other in self.ended}
        alike = [gained[other.id] for other in self.ended if other.stages == trial.stages]
        return trial.curve[epoch - 1] + (sum(alike) + 2 * fmean(gained.values())) / (len(alike) + 2)

    def finished(self, trial: Trial) -> None:
        """Keep a trial that has ended."""
        self.ended.append(trial)


class Annealed(Halving):
    """Halving at the same share of the last stage, at whose end every learning rate is 0.

    Args:
        share: Share of the last stage's epochs.
    """

    def __init__(self, share: float) -> None:
        super().__init__((0,), 3)
        self.share = share

    def number_of(self, trial: Trial, epoch: int) -> int | None:
        """Return 0 at the trial's own rung."""
        return 0 if epoch == self.rung_of(trial) else None

    def rung_of(self, trial: Trial) -> int:
        """Return the epoch of the trial's rung."""
        start = round((trial.stages - 1) * EPOCHS / trial.stages)
        return start + round(self.share * (EPOCHS - start))

    def score_of(self, trial: Trial, number: int) -> float:
        """Return the score at the trial's own rung."""
        return trial.curve[self.rung_of(trial) - 1]


class Median(Halving):
    """Stops a trial below the median of all scores at any epoch from the first rung on (Vizier's rule)."""

    def should_continue(self, trial: Trial, epoch: int) -> bool:
        """Compare the trial with the median."""
        if epoch < self.rungs[0]:
            return True
        others = [other.curve[epoch - 1] for other in self.known[0, epoch].values()]
        self.known[0, epoch][trial.id] = trial
        return len(others) < 2 or trial.curve[epoch - 1] >= float(np.median(others))


class Predicted(Halving):
    """Stops a trial whose predicted end is below the best end so far, by over one standard error of the prediction.

    A ridge regression on the pair's finished trials predicts the gain from the score, its rise over the last three
    epochs, the logarithm of the learning rate and the number of stages; it begins with six trials.
    """

    def should_continue(self, trial: Trial, epoch: int) -> bool:
        """Predict at a rung."""
        if epoch not in self.rungs or len(self.ended) < 6:
            return True
        facts = np.array([self.facts_of(other, epoch) for other in [*self.ended, trial]])
        facts = (facts - facts.mean(0)) / (facts.std(0) + 1e-3)
        gains = np.array([other.curve[-1] - other.curve[epoch - 1] for other in self.ended])
        model = Ridge(alpha=1.0).fit(facts[:-1], gains)
        error = float(np.sqrt(np.mean((model.predict(facts[:-1]) - gains) ** 2)))
        end = trial.curve[epoch - 1] + max(0.0, float(model.predict(facts[-1:])[0]))
        return end + error >= max(other.curve[-1] for other in self.ended)

    def facts_of(self, trial: Trial, epoch: int) -> list[float]:
        """Return the inputs of the prediction."""
        rise = trial.curve[epoch - 1] - trial.curve[epoch - 4]
        return [trial.curve[epoch - 1], rise, float(np.log(trial.lr)), trial.stages]


RULES: dict[str, Callable[[], Rule]] = {
    "never": Never,
    FORMER: lambda: Halving((9,), 3),
    "best third at 14": lambda: Halving((14,), 3),
    "best third at 18": lambda: Halving((18,), 3),
    "best half at 9": lambda: Halving((9,), 2),
    "best quarter at 9": lambda: Halving((9,), 4),
    "best third at 9, within stages": lambda: Halving((9,), 3, within=True),
    "best third at 14, within stages": lambda: Halving((14,), 3, within=True),
    "best third at a third of the last stage": lambda: Annealed(1 / 3),
    "best third at half of the last stage": lambda: Annealed(1 / 2),
    "best third at 9, with gains by stages": lambda: Halving((9,), 3, gains=True),
    "predicted end, at 9, 14, 18": lambda: Predicted((9, 14, 18), 1),
    "median from 9 on": lambda: Median((9,), 1),
    "best half at 9, 14, 18": lambda: Halving((9, 14, 18), 2),
    "best third at 9, 14, 18": lambda: Halving((9, 14, 18), 3),
    "best third at 9, or within 2 points": lambda: Halving((9,), 3, Points(0.02)),
    "best third at 9, 14, or within 2 points": lambda: Halving((9, 14), 3, Points(0.02)),
    "best third at 9, 14, 18, or within 2 points": lambda: Halving((9, 14, 18), 3, Points(0.02)),
    "best third at 9, 14, 18, or within 1 standard error": lambda: Halving((9, 14, 18), 3, StandardErrors(1.0)),
    "best third at 9, 14, 18, or within 1/6 IQR": lambda: Halving((9, 14, 18), 3, Quartiles(1 / 6)),
    "best third at 9, 14, 18, or within 1/4 IQR": lambda: Halving((9, 14, 18), 3, Quartiles(1 / 4)),
    SHIPPED: Shipped,
    "best third at 9, 14, 18, or within 1/3 IQR": lambda: Halving((9, 14, 18), 3, Quartiles(1 / 3)),
}
"""Rules in the order of the table; numbers are epochs of 27."""


def read_trials() -> dict[Pair, list[Trial]]:
    """Return the recorded runs of each pair."""
    trials: dict[Pair, list[Trial]] = defaultdict(list)
    for row in read_runs(FOLDER / "samplers.jsonl"):
        values = row["values"]
        trial = Trial(row["key"], values["distill.num_stages"], values["distill.lr"], tuple(row["curve"]))
        trials[tuple(row["pair"])].append(trial)
    return trials


def simulate(trials: Sequence[Trial], rule: Rule, limit: float = float("inf")) -> tuple[list[tuple[int, float]], int]:
    """Run trials in order, `SLOTS` at a time; return epochs spent and score at each end, and all epochs spent."""
    waiting, live = list(reversed(trials)), dict[str, tuple[Trial, int]]()
    ends, spent = list[tuple[int, float]](), 0
    while (waiting or live) and spent < limit:
        while waiting and len(live) < SLOTS:
            trial = waiting.pop()
            live[trial.id] = trial, 0
        for trial, epochs in list(live.values()):
            spent += 1
            live[trial.id] = trial, epochs + 1
            if epochs + 1 == EPOCHS:
                rule.finished(trial)
                ends.append((spent, 100 * trial.curve[-1]))
                del live[trial.id]
            elif not rule.should_continue(trial, epochs + 1):
                del live[trial.id]
    return ends, spent


def measure(rule: str, half: str) -> Samples:
    """Simulate a rule in every order of every pair of a half."""
    build, recorded = RULES[rule], read_trials()
    samples: dict[str, list[float]] = defaultdict(list)
    for trials in (recorded[pair] for pair in HALVES[half]):
        for order in range(ORDERS):
            drawn = [trials[place] for place in np.random.default_rng(order).permutation(len(trials))]
            for count in COUNTS:
                ends, spent = simulate(drawn[:count], build())
                best = 100 * max(trial.curve[-1] for trial in drawn[:count])
                samples[f"regret after {count} trials"].append(best - max(score for _, score in ends))
                samples[f"epochs of {count} trials"].append(100 * spent / (count * EPOCHS))
            samples["regret with equal epochs"].append(anytime_regret(drawn, build()))
    return samples


def anytime_regret(drawn: Sequence[Trial], rule: Rule) -> float:
    """Return the regret against the best of all trials, as the mean over `BUDGETS`."""
    ends, _ = simulate(drawn, rule, max(BUDGETS))
    moments, best = [spent for spent, _ in ends], list(accumulate((score for _, score in ends), max))
    top = 100 * max(trial.curve[-1] for trial in drawn)
    return fmean(top - best[bisect_right(moments, budget) - 1] for budget in BUDGETS)


def correlation(groups: Sequence[Sequence[Trial]], epoch: int) -> float:
    """Return Spearman's correlation of the score after an epoch with the end, as the mean over pairs."""
    return fmean(
        float(spearmanr([trial.curve[epoch - 1] for trial in trials], [trial.curve[-1] for trial in trials])[0])
        for trials in groups
    )


def difference(samples: Samples, former: Samples, name: str) -> Estimate:
    """Return the paired difference from the former rule."""
    return estimate([own - other for own, other in zip(samples[name], former[name], strict=True)])


def show(value: Estimate, sign: str = "") -> str:
    """Return a mean with its interval."""
    if value.low is None or value.high is None:
        return f"{value.mean:{sign}.2f}"
    return f"{value.mean:{sign}.2f} [{value.low:{sign}.2f}, {value.high:{sign}.2f}]"


def table(half: str, results: Mapping[str, Samples], figures: dict[str, float | Estimate]) -> list[str]:
    """Return the table of one half, and add its figures."""
    names = [f"{what} {count} trials" for count in COUNTS for what in ("epochs of", "regret after")]
    names.append("regret with equal epochs")
    pairs = ", ".join(" -> ".join(pair) for pair in HALVES[half])
    lines = [f"| {half} {pairs} | {' | '.join(names)} | against former |"]
    lines.append("|---|" + "--:|" * (len(names) + 1))
    for rule, samples in results.items():
        values = {name: estimate(samples[name]) for name in names}
        gain = difference(samples, results[FORMER], names[-1])
        cells = [f"{value.mean:.0f} %" if name.startswith("epochs") else show(value) for name, value in values.items()]
        lines.append(f"| {rule} | {' | '.join(cells)} | {show(gain, '+')} |")
        figures |= {f"{half}, {rule}: {name}": value for name, value in values.items()}
        figures[f"{half}, {rule}: equal epochs against former"] = gain
    return [*lines, ""]


def main() -> None:
    """Simulate, print and keep the tables."""
    trials = read_trials()
    assert rung_epochs(EPOCHS) == (9, 14), "the names of the rules say so"
    figures: dict[str, float | Estimate] = {}
    lines: list[str] = []
    for half, pairs in HALVES.items():
        groups = [trials[pair] for pair in pairs]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            results = dict(zip(RULES, pool.map(measure, RULES, [half] * len(RULES)), strict=True))
        lines += table(half, results, figures)
        found = {epoch: correlation(groups, epoch) for epoch in (5, 7, 9, 11, 14, 16, 18, 20, 22)}
        figures |= {f"{half}: rank correlation after epoch {epoch}": value for epoch, value in found.items()}
        text = ", ".join(f"{value:.2f} after {epoch}" for epoch, value in found.items())
        lines += [f"Rank correlation with the end: {text}.", ""]
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    main()
