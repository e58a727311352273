"""Intervals over seeds and test images, checked against resampling and by simulation."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tdmr_ray.report.bootstrap import Right, accuracy_estimate, gain_estimate, gain_p_value

Table = NDArray[np.bool_]


def drawn(rng: np.random.Generator, seeds: int, images: int, accuracy: float = 0.85) -> tuple[Right, Right]:
    """Draw two methods of equal accuracy; some seeds and some images are harder than others, for both."""
    seed, image = rng.normal(0, 0.2, (seeds, 1)), rng.normal(0, 0.8, images)
    limit = stats.norm.ppf(accuracy) * np.sqrt(0.2**2 + 0.8**2 + 0.6**2)
    tables = [seed + image + rng.normal(0, 0.6, (seeds, images)) < limit for _ in range(2)]
    return tuple(dict(enumerate(table)) for table in tables)  # type: ignore[return-value]


def counted(right: int, images: int) -> Table:
    return np.arange(images) < right


def test_means_are_those_of_the_images() -> None:
    ours, theirs = {0: counted(8, 10), 1: counted(9, 10), 2: counted(7, 10)}, {1: counted(4, 10), 5: counted(1, 10)}
    found = accuracy_estimate(ours)
    assert (found.mean, found.sd) == pytest.approx((0.8, 0.1))
    assert found.n == 3
    gain = gain_estimate(ours, theirs)
    assert gain is not None
    assert gain.mean == pytest.approx(0.5)
    assert (gain.sd, gain.low, gain.n) == (None, None, 1)
    assert gain_estimate(ours, {9: counted(1, 10)}) is None


def test_weights_give_balanced_accuracy() -> None:
    labels = np.array([0] * 8 + [1] * 2)
    weights = 1 / (2 * np.bincount(labels))[labels]
    right = {seed: np.array([True] * 8 + [seed == 0, False]) for seed in range(3)}
    found, plain = accuracy_estimate(right, weights), accuracy_estimate(right)
    assert (found.mean, plain.mean) == pytest.approx(((0.75 + 0.5 + 0.5) / 3, 2.5 / 3))
    assert found.low is not None
    assert plain.low is not None
    assert found.mean - found.low > plain.mean - plain.low, "two images count as much as eight"


def test_equal_weights_are_no_weights() -> None:
    ours, theirs = drawn(np.random.default_rng(0), 4, 50)
    equal = np.full(50, 1 / 50)
    assert gain_estimate(ours, theirs, equal) == gain_estimate(ours, theirs)
    assert gain_p_value(ours, theirs, equal) == gain_p_value(ours, theirs)


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_have_neither_interval_nor_p_value(seeds: int) -> None:
    ours, theirs = ({seed: counted(right, 100) for seed in range(seeds)} for right in (90, 10))
    found, gain = accuracy_estimate(ours), gain_estimate(ours, theirs)
    assert gain is not None
    assert (found.low, found.high, gain.low, gain.high) == (None, None, None, None)
    assert gain_p_value(ours, theirs) is None


def test_one_image_in_each_seed_is_not_significant() -> None:
    ours = {seed: counted(right, 540) for seed, right in enumerate((513, 510, 515))}
    theirs = {seed: counted(right, 540) for seed, right in enumerate((512, 509, 514))}
    p_value, gain = gain_p_value(ours, theirs), gain_estimate(ours, theirs)
    assert p_value is not None
    assert p_value > 0.2
    assert gain is not None
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low < 0 < gain.mean < gain.high


@pytest.mark.parametrize("right", [0, 30])
def test_no_errors_and_only_errors_have_an_interval_like_wilsons(right: int) -> None:
    found = accuracy_estimate({seed: counted(right, 30) for seed in range(3)})
    wilson = stats.binomtest(right, 30).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=0.03)


def test_many_seeds_and_images_agree_with_resampling() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = drawn(rng, 40, 500)
    table = np.stack(list(ours.values())).astype(float) - np.stack(list(theirs.values()))
    seeds, images = rng.multinomial(40, [1 / 40] * 40, 4000) / 40, rng.multinomial(500, [1 / 500] * 500, 4000) / 500
    resampled = np.einsum("bs,si,bi->b", seeds, table, images, optimize=True)
    gain = gain_estimate(ours, theirs)
    assert gain is not None
    assert (gain.low, gain.high) == pytest.approx(tuple(np.quantile(resampled, (0.025, 0.975))), abs=0.002)


@pytest.mark.parametrize(("seeds", "images"), [(3, 30), (3, 300), (5, 100)])
def test_intervals_cover_the_true_accuracy_and_equal_methods_rarely_differ(seeds: int, images: int) -> None:
    rng, reports = np.random.default_rng(seeds), 300
    pairs = [drawn(rng, seeds, images) for _ in range(reports)]
    found = [accuracy_estimate(ours) for ours, _ in pairs]
    covered = np.mean([each.low <= 0.85 <= each.high for each in found if each.low is not None and each.high])
    assert covered >= 0.93
    p_values = [gain_p_value(ours, theirs) for ours, theirs in pairs]
    assert np.mean([p_value < 0.05 for p_value in p_values if p_value is not None]) <= 0.07


def test_p_value_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(2)
    significant = 0
    for _ in range(100):
        ours, theirs = drawn(rng, 3, 60, accuracy=0.9)[0], drawn(rng, 3, 60, accuracy=0.8)[0]
        p_value, gain = gain_p_value(ours, theirs), gain_estimate(ours, theirs)
        assert p_value is not None
        assert gain is not None
        assert gain.low is not None
        assert gain.high is not None
        assert (p_value < 0.05) == (gain.low > 0 or gain.high < 0)
        significant += p_value < 0.05
    assert 0 < significant < 100


@pytest.mark.parametrize(
    ("right", "weights", "message"),
    [
        ({}, None, "at least one seed"),
        ({0: np.zeros(0, dtype=np.bool_)}, None, "one image"),
        ({0: counted(1, 3), 1: counted(1, 4)}, None, "same shape"),
        ({0: counted(1, 3)}, np.array([0.5, 0.5]), "3 weights"),
        ({0: counted(1, 3)}, np.array([0.5, 0.5, 0.5]), "sum 1.5"),
    ],
)
def test_unfit_tables_are_errors(right: Right, weights: NDArray[np.float64] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy_estimate(right, weights)
