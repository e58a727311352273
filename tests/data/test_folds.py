"""Every labelled image is in the test split of exactly one fold; folds show the classes alike and cut no group."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import make_folder
from pydantic import ValidationError

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.folds import divide_into_folds, split_fold
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.split_names import UNLABELED
from tdmr_ray.errors import InputError

Rows = NDArray[np.int64]

MANY = np.repeat([0, 1, 2], [60, 33, 17])
RARE = np.repeat([0, 1, 2], [60, 3, 1])
GROUPS_OF_THREE = {name: np.arange(len(labels)) // 3 for name, labels in (("many", MANY), ("rare", RARE))}
CASES: dict[str, tuple[Rows, Rows | None]] = {
    "each alone": (MANY, None),
    "a rare class": (RARE, None),
    "groups of three": (MANY, GROUPS_OF_THREE["many"]),
    "groups of three and a rare class": (RARE, GROUPS_OF_THREE["rare"]),
    "one large group": (MANY, np.maximum(np.arange(len(MANY)), 40)),
    "some without labels": (np.where(np.arange(len(MANY)) % 4 == 0, UNLABELED, MANY), GROUPS_OF_THREE["many"]),
}


@pytest.mark.parametrize("folds", [2, 5, 10])
@pytest.mark.parametrize("case", CASES)
def test_each_labelled_image_is_tested_once_and_no_group_straddles(case: str, folds: int) -> None:
    labels, groups = CASES[case]
    groups = np.arange(len(labels)) if groups is None else groups
    splits = [split_fold(labels, CASES[case][1], folds, fold, 0) for fold in range(folds)]
    labeled = np.flatnonzero(labels != UNLABELED)
    assert np.array_equal(np.sort(np.concatenate([each.test for each in splits])), labeled)
    for each in splits:
        assert len(each.test) > 0
        assert len(each.val) == len(each.hidden) == 0
        assert np.array_equal(np.union1d(each.labeled, each.test), labeled)
        train = np.concatenate([each.labeled, each.unlabeled])
        assert not np.isin(groups[train], groups[each.test]).any()
        unlabeled = np.flatnonzero(labels == UNLABELED)
        assert np.array_equal(each.unlabeled, unlabeled[~np.isin(groups[unlabeled], groups[each.test])])


@pytest.mark.parametrize(("folds", "seed"), [(2, 0), (3, 1), (5, 2), (10, 3)])
@pytest.mark.parametrize("labels", [MANY, RARE], ids=["many", "rare"])
def test_folds_without_groups_differ_by_one_image(labels: Rows, folds: int, seed: int) -> None:
    fold_of = divide_into_folds(labels, None, folds, seed)
    for chosen in (fold_of, *(fold_of[labels == label] for label in np.unique(labels))):
        assert np.ptp(np.bincount(chosen, minlength=folds)) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_folds_of_groups_show_the_classes_alike(seed: int) -> None:
    chance = np.random.default_rng(seed)
    groups = np.repeat(np.arange(150), chance.integers(1, 9, 150))
    labels = chance.integers(0, 4, 150)[groups]
    fold_of = divide_into_folds(labels, groups, 5, seed)
    for label in range(4):
        counts = np.bincount(fold_of[labels == label], minlength=5)
        assert np.ptp(counts) <= 2


def test_folds_follow_from_the_seed() -> None:
    one, again, other = (divide_into_folds(MANY, None, 5, seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("groups", "folds", "fold", "message"),
    [
        (None, 9, 0, r"data.folds must be at most the number of labelled images \(8\), got 9"),
        (np.arange(8) // 4, 3, 0, r"data.folds must be at most the number of groups of labelled images \(2\), got 3"),
        (None, 4, 4, r"data.fold must be below data.folds \(4\) and not negative, got 4"),
    ],
)
def test_impossible_folds_are_a_problem(groups: Rows | None, folds: int, fold: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_fold(np.arange(8) % 2, groups, folds, fold, 0)


@pytest.mark.parametrize(
    ("folds", "fold", "message"),
    [(1, 0, "must be 0 or at least 2"), (0, 1, "must be below data.folds"), (5, 5, r"must be below data.folds \(5\)")],
)
def test_wrong_folds_are_refused_with_the_configuration(folds: int, fold: int, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataConfig(folds=folds, fold=fold)


@pytest.mark.parametrize("split", ["drawn", "given"])
def test_a_task_of_a_fold_uses_every_label_whatever_the_shots_and_given_splits(tmp_path: Path, split: str) -> None:
    root = tmp_path / "set"
    for part in (".",) if split == "drawn" else ("train", "val", "test"):
        make_folder(root / part, 20 if split == "drawn" else 7)
    total = 40 if split == "drawn" else 42
    data = DataConfig(name=str(root), image_px=16, shots=2, unlabeled=True)
    base = load_task(data)
    folds = [load_task(data.model_copy(update={"folds": 4, "fold": fold}), known=base) for fold in range(4)]
    tested = [task.origin.rows[len(task.train) :] for task in folds if task.origin is not None]
    assert np.array_equal(np.sort(np.concatenate(tested)), np.arange(total))
    for task in folds:
        assert (task.num_labeled, len(task.val)) == (len(task.train), 0)
        assert len(task.train) + len(task.test) == total
        assert task.summary is not None
        assert [task.summary.count(name) for name in ("train", "val")] == [len(task.train), 0]
        assert (task.preset, task.class_names) == (base.preset, base.class_names)
    assert len({task.fingerprint for task in folds}) == 4


def test_draw_and_join_have_no_effect_on_folds() -> None:
    fold = DataConfig(shots=2, folds=5, fold=1)
    assert load_task(fold).fingerprint == load_task(fold.model_copy(update={"draw": 3, "join": "val"})).fingerprint
