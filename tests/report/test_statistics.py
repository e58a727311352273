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


@pytest.mark.parametrize("values", [[0.9, 0.92, 0.97], [0.5, 0.5], [0.1, 0.2, 0.3, 0.9, 0.4]])
def test_estimate_has_students_t_interval(values: list[float]) -> None:
    found = estimate(values)
    if found.sd:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=stats.sem(values))
        assert (found.low, found.high) == pytest.approx((low, high))
    else:
        assert found.low == found.high == found.mean


def test_estimate_of_one_value_has_no_interval_and_of_none_is_an_error() -> None:
    assert estimate([0.9]).low is None
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
    assert paired_p_value({0: 0.5}, {0: 0.4}) is None
    assert (paired_p_value({0: 0.5, 1: 0.5}, {0: 0.5, 1: 0.5}), paired_p_value({0: 1, 1: 1}, {0: 0, 1: 0})) == (1, 0)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_one_rival_or_one_seed_gives_no_significant_difference() -> None:
    assert not_significantly_beaten([{0: 0.5, 1: 0.6}]) == [True]
    assert not_significantly_beaten([{0: 0.9}, {0: 0.1}]) == [True, True]
    clear = [{seed: 0.9 + 0.001 * seed for seed in range(3)}, dict.fromkeys(range(3), 0.5)]
    assert not_significantly_beaten(clear) == [True, False]
