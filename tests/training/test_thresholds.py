"""Thresholds on probabilities: coverage on exchangeable data, storage, and messages where val is too small."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from tdmr_ray.errors import InputError
from tdmr_ray.training.thresholds import (
    KEPT,
    MAX_STORED,
    UNCALIBRATED,
    Thresholds,
    names_of_set,
    num_needed,
    reached_by,
    stored_ranks,
    thresholds_of,
)

NUM_CLASSES = 5


def draw(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw probabilities [count, 5] of a mediocre, overconfident model, and labels."""
    labels = rng.integers(0, NUM_CLASSES, count)
    logits = rng.normal(0, 2, (count, NUM_CLASSES))
    logits[np.arange(count), labels] += 2
    exponents = np.exp(1.5 * logits)
    return exponents / exponents.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize(("num_val", "coverage"), [(19, 0.95), (30, 0.9), (150, 0.95), (1000, 0.9)])
def test_sets_hold_the_correct_class_as_often_as_wanted(num_val: int, coverage: float) -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        thresholds = thresholds_of(*draw(rng, num_val))
        probabilities, labels = draw(rng, 400)
        inside = probabilities[np.arange(len(labels)), labels] >= thresholds.for_coverage(coverage)
        shares.append(inside.mean())
    error = np.std(shares) / np.sqrt(len(shares))
    assert coverage - 3 * error <= np.mean(shares) <= coverage + 1 / (num_val + 1) + 1 / MAX_STORED + 3 * error


@pytest.mark.parametrize("num_val", [100, 500])
def test_the_share_of_right_images_that_is_kept_is_as_stated(num_val: int) -> None:
    rng = np.random.default_rng(1)
    kept = []
    for _ in range(300):
        least = thresholds_of(*draw(rng, num_val)).none_of_these()
        probabilities, labels = draw(rng, 400)
        right = probabilities.argmax(axis=1) == labels
        kept.append((probabilities.max(axis=1)[right] >= least).mean())
    error = np.std(kept) / np.sqrt(len(kept))
    assert KEPT - 3 * error <= np.mean(kept) <= KEPT + 1 / (0.3 * num_val) + 3 * error


@pytest.mark.parametrize(("share", "needed"), [(0.5, 1), (0.9, 9), (0.95, 19), (0.99, 99), (0.999, 999)])
def test_the_least_number_of_images_is_enough_and_one_less_is_not(share: float, needed: int) -> None:
    assert num_needed(share) == needed
    assert reached_by(np.linspace(0.2, 0.9, needed), share) == 0.2
    assert reached_by(np.linspace(0.2, 0.9, needed - 1), share) is None


@pytest.mark.parametrize("count", [1, MAX_STORED, MAX_STORED + 1, 5000])
def test_stored_ranks_are_few_distinct_and_hold_both_ends(count: int) -> None:
    ranks = stored_ranks(count)
    assert len(ranks) == min(count, MAX_STORED)
    assert (ranks[0], ranks[-1]) == (1, count)
    assert (np.diff(ranks) > 0).all()


def test_thinned_probabilities_never_give_a_smaller_set_than_all_of_them() -> None:
    probabilities, labels = draw(np.random.default_rng(2), 3000)
    own = probabilities[np.arange(len(labels)), labels]
    thresholds = thresholds_of(probabilities, labels)
    for coverage in (0.6, 0.9, 0.95, 0.99, 0.999):
        exact = reached_by(own, coverage)
        assert exact is not None
        assert 0 <= (own >= thresholds.for_coverage(coverage)).mean() - (own >= exact).mean() < 2 / MAX_STORED


def test_json_keeps_everything_in_a_few_kilobytes() -> None:
    thresholds = thresholds_of(*draw(np.random.default_rng(3), 4000))
    text = json.dumps(thresholds.as_json())
    assert len(text) < 4000
    assert Thresholds.from_json(json.loads(text)) == thresholds


def test_a_set_starts_with_the_most_probable_class_and_is_never_empty() -> None:
    row = np.array([0.25, 0.5, 0.2, 0.05])
    assert names_of_set(row, "abcd", 0.2) == ("b", "a", "c")
    assert names_of_set(row, "abcd", 0.9) == ("b",)


@pytest.mark.parametrize(
    ("thresholds", "coverage", "message"),
    [
        (thresholds_of(*draw(np.random.default_rng(4), 30)), 0.99, "0.99 needs 99 val images, and the model has 30"),
        (UNCALIBRATED, 0.9, "and the model was never calibrated on val"),
        (UNCALIBRATED, 1.0, "must be between 0 and 1, got 1"),
        (thresholds_of(*draw(np.random.default_rng(4), 12)), None, "19 correctly classified val images, and the model"),
    ],
)
def test_too_few_images_are_one_message(thresholds: Thresholds, coverage: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        thresholds.none_of_these() if coverage is None else thresholds.for_coverage(coverage)
