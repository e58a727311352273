"""Importance of parameters: found where it is, and nothing shown where nothing was learned."""

import numpy as np
import pytest

from tdmr_ray.records import Pair, Phase, TrialRecord
from tdmr_ray.report.importance import MIN_TRIALS, Importance, encode, fit_forest, importances_of
from tdmr_ray.space import Value

Values = dict[str, Value]


def trials(values: list[Values], scores: np.ndarray, phase: Phase = "search") -> list[TrialRecord]:
    pair = Pair(foundation="a", target="b")
    return [
        TrialRecord(
            id=f"{phase}-{index}",
            phase=phase,
            pair=pair,
            config={},
            values=each,
            state="complete",
            curve=[0.0, float(score)],
            seed=0,
            seconds=0.0,
        )
        for index, (each, score) in enumerate(zip(values, scores, strict=True))
    ]


def drawn(rng: np.random.Generator, count: int) -> list[Values]:
    """Draw values without any effect on each other; `odd.scale` is searched only with `kind: odd`."""
    values: list[Values] = []
    for _ in range(count):
        kind = ("even", "odd", "prime")[rng.integers(3)]
        each: Values = {"lr": float(rng.random()), "width": int(rng.integers(1, 9)), "kind": kind}
        each["flag"] = bool(rng.integers(2))
        if kind == "odd":
            each["odd.scale"] = float(rng.random())
        values.append(each)
    return values


def noise(rng: np.random.Generator, count: int) -> np.ndarray:
    return 0.01 * rng.normal(size=count)


def names(found: list[Importance]) -> list[str]:
    return [each.name for each in found]


def test_nothing_is_shown_where_nothing_matters() -> None:
    rng = np.random.default_rng(0)
    found = [importances_of(trials(drawn(rng, 24), rng.normal(size=24))) for _ in range(25)]
    assert sum(map(bool, found)) <= 4


@pytest.mark.parametrize("decisive", ["lr", "width", "kind", "flag"])
def test_the_one_parameter_that_matters_is_found(decisive: str) -> None:
    rng = np.random.default_rng(1)
    values = drawn(rng, 48)
    scores = np.array([float(each[decisive] == "odd" if decisive == "kind" else each[decisive]) for each in values])
    first, *others = importances_of(trials(values, scores / scores.std() + noise(rng, 48)))
    assert first.name == decisive
    assert 0.6 < first.mean <= 1
    assert 0 <= first.sd < 0.4
    assert all(each.mean < 0.1 for each in others)


def test_parameters_that_matter_only_together_are_found() -> None:
    rng = np.random.default_rng(2)
    values = drawn(rng, 300)
    scores = np.array([float((float(each["lr"]) > 0.5) == each["flag"]) for each in values])
    assert set(names(importances_of(trials(values, scores + noise(rng, 300))))[:2]) == {"lr", "flag"}


def test_a_conditional_parameter_has_no_share_in_the_parameter_that_it_depends_on() -> None:
    rng = np.random.default_rng(3)
    values = drawn(rng, 100)
    scores = np.array([float(each["kind"] == "odd") for each in values]) + noise(rng, 100)
    first, *others = importances_of(trials(values, scores))
    assert first.name == "kind"
    assert all(each.mean < 0.05 for each in others)


def test_a_conditional_parameter_that_matters_is_found() -> None:
    rng = np.random.default_rng(4)
    values = drawn(rng, 150)
    scores = np.array([float(each.get("odd.scale", 0.5)) for each in values]) + noise(rng, 150)
    assert names(importances_of(trials(values, scores)))[0] == "odd.scale"


def test_the_order_of_categories_has_no_effect() -> None:
    table = encode([{"kind": kind} for kind in ("b", "a", "c", "a")])
    assert table.values.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    assert table.columns == {"kind": [0, 1, 2]}


def test_values_that_were_not_searched_become_usual_ones_and_constant_parameters_are_left_out() -> None:
    table = encode([{"x": 1, "k": "a", "c": 7}, {"x": 5, "k": "b", "c": 7}, {"x": 3, "k": "b", "c": 7}, {"c": 7}])
    assert table.columns == {"x": [0], "k": [1, 2]}
    assert table.values[3].tolist() == [3, 0, 1]
    assert table.known[:, 0].tolist() == [True, True, True, False]


def test_a_forest_of_noise_predicts_worse_than_the_mean() -> None:
    rng = np.random.default_rng(5)
    found = [fit_forest(encode(drawn(rng, 24)), rng.normal(size=24), rng) for _ in range(30)]
    assert np.mean([each.r2 for each in found]) < 0
    assert abs(np.mean([each.shares for each in found])) < 0.05


def test_the_same_trials_give_the_same_importances() -> None:
    rng = np.random.default_rng(6)
    values = drawn(rng, 30)
    records = trials(values, np.array([float(each["lr"]) for each in values]))
    assert importances_of(records) == importances_of(records) != []


@pytest.mark.parametrize(
    ("count", "phase", "score"), [(MIN_TRIALS - 1, "search", 1.0), (30, "confirm", 1.0), (30, "search", 0.0)]
)
def test_few_trials_other_phases_and_equal_scores_show_nothing(count: int, phase: Phase, score: float) -> None:
    values = drawn(np.random.default_rng(7), count)
    scores = score * np.array([float(each["lr"]) for each in values])
    assert importances_of(trials(values, scores, phase)) == []
    assert importances_of(trials([{} for _ in range(30)], np.arange(30.0))) == []
