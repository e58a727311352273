"""Splits are stratified, determined by their seeds, and disjoint; they keep groups together."""

import numpy as np
import pytest

from tdmr_ray.data.groups import Groups
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
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


def bursts(sizes: list[int], num_classes: int = 4) -> tuple[Groups, Groups]:
    """Return labels and groups of classes that each have groups of these sizes."""
    groups = np.repeat(np.arange(len(sizes) * num_classes), sizes * num_classes)
    return groups // len(sizes), groups


def random_groups(seed: int) -> tuple[Groups, Groups]:
    """Return labels and groups of 300 images in three classes of unequal size; groups may hold several classes."""
    chance = np.random.default_rng(seed)
    return chance.choice(3, 300, p=[0.6, 0.3, 0.1]), chance.integers(0, 60, 300)


GROUPED = {
    "five groups of four": bursts([4] * 5),
    "three groups": bursts([2] * 3),
    "one large and many small groups": bursts([40, *[2] * 12]),
    "groups of one": bursts([1] * 20),
    "one hundred classes": bursts([3] * 4, num_classes=100),
    "many groups in one class, few in another": (
        np.repeat([0, 1], [100, 9]),
        np.r_[np.arange(100), [100, 101, 102] * 3],
    ),
    **{f"classes mixed in groups, {seed}": random_groups(seed) for seed in range(5)},
}
"""Labels and groups, [N] each."""
SPLIT_FIELDS = ("labeled", "hidden", "unlabeled", "val", "test")


def split_groups(name: str, shots: int | None = None, seed: int = 0) -> tuple[Groups, Groups, Split]:
    labels, groups = GROUPED[name]
    return labels, groups, split_dataset(labels, shots=shots, split_seed=seed, shots_seed=0, groups=groups)


def parts_of(parts: Split) -> dict[str, Groups]:
    return {"train": np.concatenate([parts.labeled, parts.hidden]), "val": parts.val, "test": parts.test}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", GROUPED)
def test_no_group_straddles_and_every_split_shows_every_class(name: str, seed: int) -> None:
    labels, groups, split = split_groups(name, seed=seed)
    parts = parts_of(split)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    owners = [set(groups[rows].tolist()) for rows in parts.values()]
    assert sum(map(len, owners)) == len(np.unique(groups))
    for rows in parts.values():
        assert len(np.unique(labels[rows])) == len(np.unique(labels))


@pytest.mark.parametrize("name", ["groups of one", *(name for name in GROUPED if "mixed" in name)])
def test_groups_are_as_stratified_as_they_can_be(name: str) -> None:
    labels, _, split = split_groups(name)
    for part, share in {"train": 0.5, "val": 0.2, "test": 0.3}.items():
        shares = np.bincount(labels[parts_of(split)[part]]) / np.bincount(labels)
        assert np.abs(shares - share).max() <= 0.12


def test_shots_take_whole_groups_first_and_hide_no_image_of_a_group_that_they_show() -> None:
    labels, groups, split = split_groups("five groups of four", shots=5)
    assert np.bincount(labels[split.labeled]).tolist() == [5] * 4
    assert not np.isin(groups[split.hidden], groups[split.labeled]).any()
    assert all(len(np.unique(groups[split.labeled[labels[split.labeled] == name]])) == 2 for name in range(4))
    assert len(split.hidden) % 4 == 0


def test_images_without_labels_of_groups_in_val_or_test_are_left_out() -> None:
    labels, groups = bursts([4] * 5)
    labels = np.where(np.arange(len(labels)) % 4 == 3, UNLABELED, labels)
    split = split_dataset(labels, shots=None, split_seed=0, shots_seed=0, groups=groups)
    assert set(groups[split.unlabeled].tolist()) == set(groups[split.labeled].tolist())


def test_groups_are_kept_together_in_the_splits_that_are_missing() -> None:
    labels, groups = bursts([4] * 8)
    for split_given in (VAL, TEST):
        given = np.where(groups % 8 < 2, split_given, np.where(groups % 8 < 4, TRAIN, ANY)).astype(np.int8)
        split = split_dataset(labels, shots=None, split_seed=0, shots_seed=0, given=given, groups=groups)
        owners = [set(groups[rows].tolist()) for rows in parts_of(split).values()]
        assert sum(map(len, owners)) == 32
        assert owners[split_given] == set(groups[given == split_given].tolist())


def test_each_seed_determines_the_groups_of_its_splits() -> None:
    name = "classes mixed in groups, 0"
    for field in SPLIT_FIELDS:
        assert np.array_equal(getattr(split_groups(name)[2], field), getattr(split_groups(name)[2], field))
    assert not np.array_equal(split_groups(name)[2].test, split_groups(name, seed=1)[2].test)


def test_too_few_groups_are_one_message() -> None:
    with pytest.raises(InputError, match=r"at least 3 groups, .* got one group"):
        split_dataset(LABELS, shots=None, split_seed=0, shots_seed=0, groups=np.zeros(200, np.int64))
    with pytest.raises(InputError, match=r"at least 3 groups, .* would lack some"):
        split_dataset(LABELS, shots=None, split_seed=0, shots_seed=0, groups=np.r_[np.arange(50) % 2, 2:152])
