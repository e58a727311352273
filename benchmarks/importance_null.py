"""What the report says of importance where nothing matters, where one parameter does, and for recorded trials.

    python benchmarks/importance_null.py          (about 5 minutes of CPU time)

"null": searches of 24 trials with four continuous and five categorical parameters, whose accuracy is noise. "strong"
and "moderate": one of the parameters explains 80 or 40 % of the variance, the first continuous one or a categorical one
with four values. It is found if it has the largest importance; the new rule may also show nothing. "false" counts
parameters without an effect that are shown. "recorded": 24 random trials of the 108 of each pair in `samplers.jsonl`;
the parameter with the largest effect is that of all 108.

Rules: "old" is the impurity importance of a forest, averaged over resampled trials, with categories in alphabetical
order; it always shows all parameters. "new" is `tdmr_ray.report.importance`.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, show_and_keep
from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.report.importance import importances_of
from tdmr_ray.report.statistics import Estimate, estimate

Values = dict[str, str | float]
Shares = dict[str, float]

CONTINUOUS = ("continuous_1", "continuous_2", "continuous_3", "continuous_4")
CATEGORICAL = {"categorical_1": 2, "categorical_2": 3, "categorical_3": 4, "categorical_4": 3, "categorical_5": 2}
DECISIVE = {"continuous": "continuous_1", "categorical": "categorical_3"}
NULL_SEARCHES, OLD_NULL_SEARCHES, SEARCHES, RECORDED_SEARCHES = 400, 60, 20, 10
NUM_TRIALS = (24, 100)


def main() -> None:
    """Print and keep what both rules show."""
    figures: dict[str, float | Estimate] = {}
    lines = nothing_matters(figures)
    lines += ["", "| effect | parameter | trials | found, old | found, new | false, new |", "|---|---|--:|--:|--:|--:|"]
    for effect, share in {"strong": 0.8, "moderate": 0.4}.items():
        for kind in DECISIVE:
            for trials in NUM_TRIALS:
                lines.append(one_matters(effect, share, kind, trials, figures))
    lines += ["", *recorded(figures)]
    show_and_keep("importance_null", lines, figures, notes={"null_searches": NULL_SEARCHES, "searches": SEARCHES})


def nothing_matters(figures: dict[str, float | Estimate]) -> list[str]:
    """Return a table of what is shown for 24 trials without any effect."""
    rng = np.random.default_rng(0)
    found: dict[str, list[Shares]] = {"old": [], "new": []}
    for search in range(NULL_SEARCHES):
        values = draw(rng, 24)
        scores = rng.normal(0.5, 0.05, 24)
        if search < OLD_NULL_SEARCHES:
            found["old"].append(old_importances(values, scores))
        found["new"].append(new_importances(values, scores))
    lines = ["| nothing matters, 24 trials | something is shown | continuous | categorical |", "|---|--:|--:|--:|"]
    for rule, searches in found.items():
        shown = float(np.mean([bool(shares) for shares in searches]))
        means = {
            kind: estimate([shares.get(name, 0.0) for shares in searches for name in names])
            for kind, names in {"continuous": CONTINUOUS, "categorical": CATEGORICAL}.items()
        }
        figures[f"null/{rule}/shown"] = shown
        figures.update({f"null/{rule}/{kind}": mean for kind, mean in means.items()})
        cells = " | ".join(f"{mean.mean:.3f} ± {mean.sd:.3f}" for mean in means.values())
        lines.append(f"| {rule} | {100 * shown:.0f} % | {cells} |")
    return lines


def one_matters(effect: str, share: float, kind: str, trials: int, figures: dict[str, float | Estimate]) -> str:
    """Return a table's row on searches in which one parameter explains a share of the variance."""
    rng, decisive = np.random.default_rng(1), DECISIVE[kind]
    hits = {"old": 0, "new": 0}
    false = 0
    for _ in range(SEARCHES):
        values = draw(rng, trials)
        level = np.array([effect_of(each[decisive]) for each in values])
        level = (level - level.mean()) / max(1e-9, level.std())
        scores = 0.5 + 0.05 * (np.sqrt(share) * level + np.sqrt(1 - share) * rng.normal(size=trials))
        old, new = old_importances(values, scores), new_importances(values, scores)
        hits["old"] += first_of(old) == decisive
        hits["new"] += first_of(new) == decisive
        false += len(new.keys() - {decisive})
    found = {rule: count / SEARCHES for rule, count in hits.items()}
    for rule, value in found.items():
        figures[f"{effect}/{kind}/{trials}_trials/found/{rule}"] = value
    figures[f"{effect}/{kind}/{trials}_trials/false/new"] = false / SEARCHES
    cells = f"{100 * found['old']:.0f} % | {100 * found['new']:.0f} %"
    return f"| {effect} | {kind} | {trials} | {cells} | {false / SEARCHES:.2f} |"


def recorded(figures: dict[str, float | Estimate]) -> list[str]:
    """Return a table of what is shown for the recorded trials, all of a pair and random choices of 24."""
    rows = [json.loads(line) for line in (FOLDER / "samplers.jsonl").read_text(encoding="utf-8").splitlines()]
    pairs = list(dict.fromkeys(tuple(row["pair"]) for row in rows))
    lines = ["| recorded pair | old, 108 trials | new, 108 trials | shown with 24 | its first is that of 108 |"]
    lines.append("|---|---|---|--:|--:|")
    rng = np.random.default_rng(2)
    for pair in pairs:
        own = [row for row in rows if tuple(row["pair"]) == pair]
        values, scores = [row["values"] for row in own], np.array([max(row["curve"]) for row in own])
        old, new = old_importances(values, scores), new_importances(values, scores)
        few = []
        for _ in range(RECORDED_SEARCHES):
            chosen = rng.permutation(len(own))[:24]
            few.append(new_importances([values[index] for index in chosen], scores[chosen]))
        shown, first = np.mean([bool(each) for each in few]), np.mean([first_of(each) == first_of(new) for each in few])
        name = "-".join(pair)
        figures.update({f"recorded/{name}/new/{key}": share for key, share in new.items()})
        figures.update({f"recorded/{name}/old/{key}": share for key, share in old.items()})
        figures[f"recorded/{name}/24_trials/shown"] = float(shown)
        figures[f"recorded/{name}/24_trials/same_first"] = float(first)
        lines.append(f"| {name} | {text_of(old)} | {text_of(new)} | {100 * shown:.0f} % | {100 * first:.0f} % |")
    return lines


def draw(rng: np.random.Generator, trials: int) -> list[Values]:
    """Draw values of all parameters."""
    drawn: list[Values] = []
    for _ in range(trials):
        values: Values = {name: float(rng.random()) for name in CONTINUOUS}
        values.update({name: "abcd"[rng.integers(kinds)] for name, kinds in CATEGORICAL.items()})
        drawn.append(values)
    return drawn


def effect_of(value: str | float) -> float:
    """Return the effect of a value: linear if it is a number, else that of one category in the middle."""
    return float(value == "b") if isinstance(value, str) else value


def new_importances(values: Sequence[Values], scores: NDArray[np.float64]) -> Shares:
    """Return the importances of the report."""
    records = [
        TrialRecord(
            id=str(index), phase="search", pair=Pair(foundation="a", target="b"), config={}, values=dict(each),
            state="complete", curve=[float(score)], seed=0, seconds=0.0,
        )
        for index, (each, score) in enumerate(zip(values, scores, strict=True))
    ]  # fmt: skip
    return {each.name: each.mean for each in importances_of(records)}


def old_importances(values: Sequence[Values], scores: NDArray[np.float64]) -> Shares:
    """Return the impurity importances that the report showed before."""
    names = list(values[0])
    columns = []
    for name in names:
        known = [each[name] for each in values]
        labels = sorted({str(value) for value in known})
        columns.append([labels.index(value) if isinstance(value, str) else value for value in known])
    table, rng = np.array(columns, dtype=np.float64).T, np.random.default_rng(0)
    shares = []
    for seed in range(10):
        drawn = rng.integers(0, len(scores), len(scores))
        forest = RandomForestRegressor(32, min_samples_leaf=2, random_state=seed)
        shares.append(forest.fit(table[drawn], scores[drawn]).feature_importances_)
    return dict(zip(names, map(float, np.mean(shares, axis=0)), strict=True))


def first_of(shares: Shares) -> str:
    """Return the most important parameter; '' if nothing is shown."""
    return max(shares, key=lambda name: shares[name], default="")


def text_of(shares: Shares) -> str:
    """List shares from the largest to the smallest."""
    return ", ".join(f"{name} {shares[name]:.2f}" for name in sorted(shares, key=lambda name: -shares[name])) or "-"


if __name__ == "__main__":
    main()
