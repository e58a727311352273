"""Intervals and comparisons, checked against scipy and by simulation."""

import numpy as np
import pytest
from scipy import stats

from tdmr_ray.report.statistics import (
    estimate,
    holm,
    not_significantly_beaten,
    paired_difference,
    paired_p_value,
    seed_differences,
)

NUM_IMAGES = 359
COUNTED = [513, 510, 515], [512, 509, 514]
"""Right of 540 images in three seeds."""


@pytest.mark.parametrize("values", [[0.9, 0.92, 0.97], [0.1, 0.2, 0.3, 0.9, 0.4]])
def test_estimate_has_students_t_interval(values: list[float]) -> None:
    found = estimate(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("values", [[0.9], [0.9, 0.8], [0.5, 0.5], [0.9, 0.9, 0.9], [0.1 + 0.2, 0.3, 0.3, 0.3]])
def test_estimate_has_no_interval_with_few_or_equal_values(values: list[float]) -> None:
    found = estimate(values)
    assert (found.low, found.high, found.n) == (None, None, len(values))
    assert (found.sd is None) == (len(values) == 1)


def test_estimate_of_no_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        estimate([])


def test_estimate_agrees_with_a_bootstrap_over_many_seeds() -> None:
    values = np.random.default_rng(0).normal(0.95, 0.01, 40)
    found, resampled = estimate(list(values)), stats.bootstrap((values,), np.mean, rng=0).confidence_interval
    assert found.low == pytest.approx(resampled.low, abs=0.0005)
    assert found.high == pytest.approx(resampled.high, abs=0.0005)


def accuracies(rng: np.random.Generator, means: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Draw accuracies on `NUM_IMAGES` images of networks whose true accuracy varies between seeds."""
    true = np.clip(rng.normal(means, 0.01, shape), 0, 1)
    return rng.binomial(NUM_IMAGES, true) / NUM_IMAGES


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
def test_intervals_cover_the_true_mean_in_95_of_100_reports(num_seeds: int) -> None:
    rng, mean, reports = np.random.default_rng(num_seeds), 0.94, 1000
    drawn = accuracies(rng, np.asarray(mean), (reports, num_seeds))
    found = [estimate(list(row)) for row in drawn]
    covered = np.mean([each.low <= mean <= each.high for each in found if each.low is not None and each.high])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("num_seeds", [3, 5, 10])
@pytest.mark.parametrize("leads", [0.0, 0.005, 0.02], ids=["all equal", "close", "clear"])
def test_the_true_best_is_rarely_beaten_significantly(num_seeds: int, leads: float) -> None:
    rng, reports = np.random.default_rng(num_seeds), 400
    means = 0.94 - leads * np.arange(6)
    drawn = accuracies(rng, means[:, None], (reports, 6, num_seeds))
    kept = [not_significantly_beaten([dict(enumerate(rival)) for rival in report]) for report in drawn]
    assert np.mean([report[0] for report in kept]) >= 0.95
    if (num_seeds, leads) == (10, 0.02):
        assert np.mean([report[5] for report in kept]) < 0.05


def test_differences_are_paired_by_seed() -> None:
    gain = paired_difference({0: 0.9, 1: 0.8, 2: 0.7}, {1: 0.7, 2: 0.6, 3: 0.1})
    assert gain is not None
    assert (gain.mean, gain.n) == (pytest.approx(0.1), 2)
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
    assert seed_differences({0: 1.0}, {1: 1.0}) == []


def test_p_values_agree_with_scipy_and_holms_correction() -> None:
    ours, theirs = {0: 0.9, 1: 0.95, 2: 0.93}, {0: 0.88, 1: 0.9, 2: 0.92}
    assert paired_p_value(ours, theirs) == pytest.approx(stats.ttest_rel(list(ours.values()), list(theirs.values()))[1])
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("num_images", [None, 540])
@pytest.mark.parametrize("seeds", [0, 1, 2])
def test_fewer_than_three_seeds_give_no_p_value(seeds: int, num_images: int | None) -> None:
    assert paired_p_value(dict.fromkeys(range(seeds), 0.9), dict.fromkeys(range(seeds), 0.1), num_images) is None
    assert paired_p_value({0: 0.9, 1: 0.91, 2: 0.92}, {1: 0.1, 2: 0.11, 3: 0.1}, num_images) is None


def test_one_image_in_each_seed_is_not_significant() -> None:
    ours, theirs = ({seed: count / 540 for seed, count in enumerate(counts)} for counts in COUNTED)
    assert paired_p_value(ours, theirs) is None
    assert paired_p_value(ours, theirs, 540) == pytest.approx(2 * stats.norm.sf(1))
    assert not_significantly_beaten([ours, theirs]) == [True, True]
    assert not_significantly_beaten([ours, theirs], 540) == [True, True]


def test_equal_scores_are_not_significant_and_a_large_steady_gain_is() -> None:
    steady, low = dict.fromkeys(range(3), 0.9), dict.fromkeys(range(3), 0.8)
    assert paired_p_value(steady, steady, 100) == 1
    p_value = paired_p_value(steady, low, 100)
    assert p_value is not None
    assert 0 < p_value < 0.001
    assert not_significantly_beaten([steady, low], 100) == [True, False]


def test_counting_leaves_larger_p_values_as_they_are() -> None:
    ours, theirs = {0: 0.9, 1: 0.95, 2: 0.93}, {0: 0.88, 1: 0.9, 2: 0.92}
    assert paired_p_value(ours, theirs, 100_000) == paired_p_value(ours, theirs)


def test_one_rival_or_few_seeds_give_no_significant_difference() -> None:
    assert not_significantly_beaten([{0: 0.5, 1: 0.6}]) == [True]
    assert not_significantly_beaten([{0: 0.9}, {0: 0.1}]) == [True, True]
    assert not_significantly_beaten([{0: 0.9, 1: 0.91}, {0: 0.1, 1: 0.1}]) == [True, True]
    clear = [{seed: 0.9 + 0.001 * seed for seed in range(3)}, dict.fromkeys(range(3), 0.5)]
    assert not_significantly_beaten(clear) == [True, False]
    assert not_significantly_beaten([clear[0], {**clear[1], 5: 0.5}, {3: 0.1, 4: 0.2}]) == [True, False, True]
