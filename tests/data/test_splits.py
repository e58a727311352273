"""Splits are stratified, determined by their seeds, and disjoint."""

import numpy as np
import pytest

from tdmr_ray.data.splits import Split, split_dataset
from tdmr_ray.errors import InputError

LABELS = np.repeat(np.arange(4), 50)


def split(shots: int | None = 5, split_seed: int = 0, shots_seed: int = 0) -> Split:
    return split_dataset(LABELS, shots=shots, split_seed=split_seed, shots_seed=shots_seed)


@pytest.mark.parametrize("shots", [1, 5, 25, None])
def test_splits_are_disjoint_and_complete(shots: int | None) -> None:
    parts = split(shots)
    rows = np.concatenate([parts.labeled, parts.hidden, parts.unlabeled, parts.val, parts.test])
    assert sorted(rows) == list(range(200))


@pytest.mark.parametrize("shots", [1, 5, 25])
def test_shots_are_per_class(shots: int) -> None:
    assert np.bincount(LABELS[split(shots).labeled]).tolist() == [shots] * 4


def test_val_and_test_are_stratified_and_do_not_depend_on_shots() -> None:
    few, many = split(1), split(25, shots_seed=9)
    assert np.bincount(LABELS[few.test]).tolist() == [15] * 4
    assert np.bincount(LABELS[few.val]).tolist() == [10] * 4
    assert np.array_equal(few.test, many.test)
    assert np.array_equal(few.val, many.val)


def test_each_seed_determines_its_own_draw() -> None:
    assert np.array_equal(split().labeled, split().labeled)
    assert not np.array_equal(split().labeled, split(shots_seed=1).labeled)
    assert not np.array_equal(split().test, split(split_seed=1).test)


def test_too_many_shots_give_the_largest_number() -> None:
    with pytest.raises(InputError, match=r"at most 25, .* got 26"):
        split(26)
