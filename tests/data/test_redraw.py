"""Redraws divide train and val anew and leave test alone; joined splits give their labels to train."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import make_folder

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.data.splits import Join, Split, split_dataset

Rows = NDArray[np.int64]

NUM_CLASSES, GROUP_SIZE = 4, 3
CLASSES = np.repeat(np.arange(NUM_CLASSES), [60, 45, 30, 30])
WITHOUT_LABEL = np.arange(len(CLASSES)) % 10 == 9
LABELS = np.where(WITHOUT_LABEL, UNLABELED, CLASSES)
GROUPS = np.arange(len(CLASSES)) // GROUP_SIZE
PLACES = GROUPS % 5
"""Groups of three images; a given split holds every fifth group."""
NOTHING = np.full(len(CLASSES), ANY, np.int8)
GIVEN_SPLITS = {
    "all drawn": NOTHING,
    "test given": np.where(PLACES == 0, TEST, TRAIN).astype(np.int8),
    "val given": np.where(PLACES == 1, VAL, TRAIN).astype(np.int8),
    "val and test given": np.where(PLACES == 0, TEST, np.where(PLACES == 1, VAL, TRAIN)).astype(np.int8),
}
"""Split of each image that the data set names."""
CASES = [(given, grouped, shots) for given in GIVEN_SPLITS for grouped in (False, True) for shots in (None, 3)]


def split(given: str, grouped: bool, shots: int | None, draw: int = 0, join: Join = "none") -> Split:
    return split_dataset(
        LABELS,
        shots=shots,
        split_seed=0,
        shots_seed=0,
        given=GIVEN_SPLITS[given],
        groups=GROUPS if grouped else None,
        draw=draw,
        join=join,
    )


def has_val(given: str) -> bool:
    return given.startswith("val")


def same(one: Rows, other: Rows) -> bool:
    return np.array_equal(one, other)


@pytest.mark.parametrize(("given", "grouped", "shots"), CASES)
def test_a_redraw_leaves_test_and_changes_the_rest_that_is_not_given(
    given: str, grouped: bool, shots: int | None
) -> None:
    draws = [split(given, grouped, shots, draw) for draw in range(4)]
    for number, one in enumerate(draws):
        assert same(one.test, draws[0].test)
        assert len(np.unique(LABELS[one.val])) == len(np.unique(LABELS[one.labeled])) == NUM_CLASSES
        for other in draws[:number]:
            assert same(one.val, other.val) == has_val(given)
            assert same(one.labeled, other.labeled) == (has_val(given) and shots is None)


@pytest.mark.parametrize(("given", "grouped", "shots"), CASES)
def test_a_redraw_has_as_many_labels_and_is_the_same_each_time(given: str, grouped: bool, shots: int | None) -> None:
    base, drawn = split(given, grouped, shots), split(given, grouped, shots, 1)
    for field in ("labeled", "hidden", "unlabeled", "val", "test"):
        assert same(getattr(drawn, field), getattr(split(given, grouped, shots, 1), field))
    for name in ("labeled", "val"):
        counts = [np.bincount(LABELS[getattr(each, name)]) for each in (base, drawn)]
        assert np.abs(counts[0] - counts[1]).max() <= (2 * GROUP_SIZE if grouped else 0)
    if shots is not None:
        assert np.bincount(LABELS[drawn.labeled]).tolist() == [shots] * NUM_CLASSES


@pytest.mark.parametrize("join", ["none", "val", "all"])
@pytest.mark.parametrize(("given", "shots"), [(given, shots) for given in GIVEN_SPLITS for shots in (None, 3)])
def test_no_group_straddles_in_any_draw(given: str, shots: int | None, join: Join) -> None:
    for draw in range(4):
        parts = split(given, True, shots, draw, join)
        train = np.concatenate([parts.labeled, parts.hidden, parts.unlabeled])
        owners = [set(GROUPS[rows].tolist()) for rows in (train, parts.val, parts.test)]
        assert sum(map(len, owners)) == len(set.union(*owners))


@pytest.mark.parametrize("draw", [0, 2])
@pytest.mark.parametrize(("given", "grouped", "shots"), CASES)
def test_joined_splits_give_all_their_labels_to_train(given: str, grouped: bool, shots: int | None, draw: int) -> None:
    apart = split(given, grouped, shots, draw)
    with_val, with_all = (split(given, grouped, shots, draw, join) for join in ("val", "all"))
    assert same(with_val.labeled, np.union1d(apart.labeled, apart.val))
    assert same(with_all.labeled, np.union1d(with_val.labeled, apart.test))
    assert len(with_val.val) == len(with_all.val) == len(with_all.test) == 0
    assert same(with_val.test, apart.test)
    assert len(apart.unlabeled) <= len(with_val.unlabeled) <= len(with_all.unlabeled) == WITHOUT_LABEL.sum()


def test_a_val_split_that_was_drawn_before_it_was_saved_is_drawn_again() -> None:
    options = {"shots": None, "split_seed": 0, "shots_seed": 0, "given": GIVEN_SPLITS["val and test given"], "draw": 1}
    kept, drawn = (split_dataset(LABELS, **options, is_val_drawn=is_drawn) for is_drawn in (False, True))
    assert same(kept.val, np.flatnonzero((options["given"] == VAL) & ~WITHOUT_LABEL))
    assert not same(drawn.val, kept.val)
    assert same(drawn.test, kept.test)


def test_groups_that_cannot_be_divided_in_another_way_stay_as_they_were() -> None:
    labels = np.repeat([0, 1], 60)
    groups = np.repeat(np.arange(6), 20)
    splits = [
        split_dataset(labels, shots=20, split_seed=0, shots_seed=0, groups=groups, draw=draw) for draw in range(5)
    ]
    for each in splits:
        assert [len(each.labeled), len(each.val), len(each.test)] == [40, 40, 40]
        assert same(each.test, splits[0].test)


@pytest.mark.parametrize("groups", [1, 7])
def test_groups_of_distinct_sizes_are_divided_differently_too(groups: int) -> None:
    sizes = np.arange(1, 20)
    labels, of_group = np.repeat([0, 1], sizes.sum()), np.repeat(np.arange(2 * len(sizes)), np.tile(sizes, 2))
    vals = {
        tuple(
            split_dataset(labels, shots=None, split_seed=groups, shots_seed=0, groups=of_group, draw=draw).val.tolist()
        )
        for draw in range(5)
    }
    assert len(vals) == 5


def test_a_redrawn_task_has_the_test_images_of_its_base(tmp_path: Path) -> None:
    name = str(make_folder(tmp_path / "set", 20))
    base = DataConfig(name=name, image_px=16, shots=4, unlabeled=True)
    tasks = [load_task(base.model_copy(update={"draw": draw})) for draw in range(3)]
    assert len({task.fingerprint for task in tasks}) == 3
    for task in tasks:
        assert torch.equal(task.test.images, tasks[0].test.images)
        assert (task.num_labeled, len(task.train), len(task.val), len(task.test)) == (8, 20, 8, 12)
        assert (task.preset, task.form, task.notes) == (tasks[0].preset, tasks[0].form, tasks[0].notes)
        assert (task.train.labels[8:] == UNLABELED).all()


@pytest.mark.parametrize(
    ("join", "sizes"), [("none", (8, 20, 8, 12)), ("val", (16, 28, 0, 12)), ("all", (28, 40, 0, 0))]
)
def test_a_joined_task_and_its_summary_count_the_labels_of_val_as_train(
    tmp_path: Path, join: Join, sizes: tuple[int, int, int, int]
) -> None:
    data = DataConfig(name=str(make_folder(tmp_path / "set", 20)), image_px=16, shots=4, unlabeled=True, join=join)
    task = load_task(data)
    assert (task.num_labeled, len(task.train), len(task.val), len(task.test)) == sizes
    assert task.val.images.shape[1:] == (3, 16, 16)
    assert task.summary is not None
    assert [task.summary.count(split) for split in ("train", "val", "test")] == [sizes[0], *sizes[2:]]
    assert task.source == data
    assert task.summary.lines()


def test_images_that_only_a_redraw_reads_and_cannot_read_leave_test_alone(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "set", 20)
    data = DataConfig(name=str(root), image_px=16, shots=2, on_bad_image="skip")
    base = load_task(data)
    assert base.origin is not None
    unread = np.setdiff1d(np.arange(40), base.origin.rows)
    names = load_dataset(data).names
    for row in unread.tolist():
        (root / names[row]).write_bytes(b"no image")
    again = load_task(data)
    assert again.fingerprint == base.fingerprint
    redrawn = [load_task(data.model_copy(update={"draw": draw}), known=again) for draw in range(1, 4)]
    assert any(task.origin is not None and task.origin.bad for task in redrawn)
    for task in redrawn:
        assert torch.equal(task.test.images, base.test.images)
        assert task.origin is not None
        assert not np.isin(task.origin.rows, unread).any()


def test_the_base_of_a_variant_must_know_its_rows(tmp_path: Path) -> None:
    made_by_hand = replace(load_task(DataConfig(shots=2)), origin=None)
    with pytest.raises(ValueError, match="loaded, not made by hand"):
        load_task(DataConfig(shots=2, draw=1), known=made_by_hand)
