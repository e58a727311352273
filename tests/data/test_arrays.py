"""A user's own numpy arrays become a task, also in another process, or one message lists every problem."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import make_folder

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import check_dataset
from tdmr_ray.data.decoded import decode_task, open_task, save_task, saved_task_config, saved_task_key, task_key
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.splits import UNLABELED
from tdmr_ray.data.task import Images, Task
from tdmr_ray.errors import InputError
from tdmr_ray.store import Store


def photos(count: int, seed: int = 0, px: int = 12) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, px, px, 3), dtype=np.uint8)


LABELS = np.arange(60) % 3
NAMES = ["cat", "dog", "owl"]


def test_arrays_are_split_like_any_data_set() -> None:
    images = photos(60)
    task = Task.from_arrays(images, LABELS)
    assert (len(task.train), task.num_labeled, len(task.val), len(task.test)) == (30, 30, 12, 18)
    assert (task.class_names, task.image_px, task.preset) == (("0", "1", "2"), 12, "document")
    rows = {image.tobytes(): int(label) for image, label in zip(images.transpose(0, 3, 1, 2), LABELS, strict=True)}
    for split in (task.train, task.val, task.test):
        assert [rows[image.numpy().tobytes()] for image in split.images] == split.labels.tolist()
    assert Task.from_arrays(images, LABELS).fingerprint == task.fingerprint
    assert Task.from_arrays(images, LABELS, split_seed=1).fingerprint != task.fingerprint


@pytest.mark.parametrize(
    ("layout", "labels", "names"),
    [
        (lambda images: images.transpose(0, 3, 1, 2), LABELS, NAMES),
        (lambda images: images / 255.0, LABELS.astype(np.uint8), NAMES),
        (lambda images: torch.from_numpy(images), [NAMES[label] for label in LABELS], None),
        (list, np.array([NAMES[label] for label in LABELS], object), None),
    ],
    ids=["channels first", "floating point", "tensor", "list"],
)
def test_layouts_and_kinds_of_label_give_the_same_task(layout: Any, labels: Any, names: list[str] | None) -> None:
    task = Task.from_arrays(layout(photos(60)), labels, class_names=names)
    assert task.class_names == tuple(NAMES)
    assert task.fingerprint == Task.from_arrays(photos(60), LABELS).fingerprint


def test_grey_images_get_three_channels() -> None:
    task = Task.from_arrays(photos(60)[..., 0], LABELS)
    assert task.train.images.shape == (30, 3, 12, 12)
    assert torch.equal(task.train.images[:, 0], task.train.images[:, 2])


def test_images_of_another_shape_are_squashed_when_a_size_is_given() -> None:
    assert Task.from_arrays(photos(60)[:, :10], LABELS, image_px=16).image_px == 16


def test_given_splits_and_unlabelled_images_are_kept() -> None:
    task = Task.from_arrays(
        photos(60),
        LABELS,
        val=(photos(6, 1), LABELS[:6]),
        test=(photos(9, 2), LABELS[:9]),
        unlabeled=photos(7, 3),
        shots=4,
    )
    assert (task.num_labeled, len(task.train), len(task.val), len(task.test)) == (12, 67, 6, 9)
    assert (task.train.labels[12:] == UNLABELED).all()
    assert np.array_equal(task.train.images[-7:].numpy(), photos(7, 3).transpose(0, 3, 1, 2))
    assert np.array_equal(task.test.images.numpy(), photos(9, 2).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("unlabeled", [None, photos(5, 9)], ids=["all labelled", "some unlabelled"])
def test_saved_task_reaches_workers_through_the_store(unlabeled: Any, tmp_path: Path) -> None:
    """The driver saves the arrays and decodes them under a key; a worker that has only the key opens the same task."""
    task = Task.from_arrays(photos(60), LABELS, class_names=NAMES, unlabeled=unlabeled, preset="photo")
    store = Store(tmp_path / "store")
    config = saved_task_config(store.add(saved_task_key(task), partial(save_task, task)))
    assert check_dataset(config) == []
    assert DataConfig(**config.model_dump()) == config
    key = task_key(config)
    store.add(key, partial(decode_task, config))
    found = store.find(key)
    assert found is not None
    for opened in (open_task(found), load_task(config)):
        assert (opened.fingerprint, opened.class_names, opened.preset) == (task.fingerprint, tuple(NAMES), "photo")
        assert torch.equal(opened.train.images, task.train.images)
        assert (opened.num_labeled, len(opened.train)) == (task.num_labeled, len(task.train))


def test_saved_task_can_be_scaled_and_cut_to_few_labels(tmp_path: Path) -> None:
    save_task(Task.from_arrays(photos(60), LABELS), tmp_path)
    config = saved_task_config(tmp_path).model_copy(update={"shots": 2, "image_px": 24, "unlabeled": True})
    task = load_task(config)
    assert (task.num_labeled, len(task.train), task.image_px) == (6, 30, 24)


def test_folder_without_a_saved_task_is_named(tmp_path: Path) -> None:
    assert "must hold a task that save_task wrote" in check_dataset(DataConfig(name=f"arrays:{tmp_path}/nothing"))[0]


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "shape": ({"images": np.zeros((60, 5))}, ["images must have the shape"]),
    "tiny": ({"images": np.zeros((60, 4, 4), np.uint8)}, ["sides of at least 8 px, got [60, 4, 4]"]),
    "ragged": ({"images": [np.zeros((9, 9)), np.zeros((8, 9))]}, ["images must be one array"]),
    "floating point": (
        {"images": photos(60).astype(np.float32)},
        ["images in floating point must be in 0..1, got 0.."],
    ),
    "nan": ({"images": np.full((60, 9, 9), np.nan)}, ["must be in 0..1, got nan..nan"]),
    "type": ({"images": photos(60).astype(np.int64)}, ["images must be uint8, or floating point in 0..1, got int64"]),
    "oblong": ({"images": photos(60)[:, :10]}, ["images must be square, got 10 x 12"]),
    "count": ({"labels": LABELS[:50]}, ["labels must be as many as their images, got 50 for 60"]),
    "label type": ({"labels": LABELS / 2}, ["labels must be integers or strings [N], got float64 [60]"]),
    "negative": ({"labels": LABELS - 1}, ["labels must not be negative, got -1; pass images without labels as"]),
    "one class": ({"labels": [7] * 60}, ["labels must show at least two classes, got 7"]),
    "outside": ({"class_names": NAMES[:2]}, ["labels must be in 0..1, the classes, got 2"]),
    "no images": ({"class_names": [*NAMES, "yak"]}, ["every class must have labelled images, got none of yak"]),
    "twice": ({"class_names": ["cat", "cat", "owl"]}, ["class_names must differ"]),
    "new in val": ({"val": (photos(2), [0, 9])}, ["labels must be among the classes 0, 1, 2, got 9"]),
    "other size": ({"test": (photos(3, px=9), [0, 1, 2])}, ["must have one size, got 9 x 9, 12 x 12"]),
    "all at once": (
        {"labels": [0.5], "unlabeled": np.zeros(3), "shots": 0, "split_seed": -1},
        [
            "shots must be at least 1, got 0",
            "split_seed must be at least 0, got -1",
            "labels must be integers or strings",
            "unlabeled images must have the shape",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arrays_are_one_error_with_every_problem(case: str) -> None:
    changes, expected = WRONG[case]
    with pytest.raises(InputError) as error:
        Task.from_arrays(**({"images": photos(60), "labels": LABELS} | changes))
    assert len(error.value.problems) == len(expected)
    for problem, text in zip(error.value.problems, expected, strict=True):
        assert text in problem


def test_too_many_shots_and_too_few_images_are_named() -> None:
    with pytest.raises(InputError, match="must be at most 10, the smallest class"):
        Task.from_arrays(photos(60), LABELS, shots=11)
    with pytest.raises(InputError, match="every class must have at least 5 labelled images"):
        Task.from_arrays(photos(6), LABELS[:6])


def test_saved_task_of_files_keeps_how_they_were_read(tmp_path: Path) -> None:
    form = InputFormat(12, "crop", "bilinear", 12, 0.5)
    save_task(replace(Task.from_arrays(photos(60), LABELS), form=form, default_px=8), tmp_path)
    again = load_task(saved_task_config(tmp_path))
    assert (again.input_format, again.target_px(None), again.target_px(10)) == (form, 8, 10)


SPLITS = {
    "all drawn": {},
    "test given": {"test": (photos(9, 2), LABELS[:9])},
    "val given": {"val": (photos(9, 1), LABELS[:9])},
    "val and test given": {"val": (photos(9, 1), LABELS[:9]), "test": (photos(9, 2), LABELS[:9])},
}


def variants(folder: Path, task: Task, *changes: dict[str, object]) -> list[Task]:
    """Save a task and load it with changes of its data section."""
    save_task(task, folder)
    return [load_task(saved_task_config(folder).model_copy(update=each)) for each in changes]


def pixels(*splits: Images) -> set[bytes]:
    """Images as bytes; those of these tests all differ."""
    return {image.numpy().tobytes() for split in splits for image in split.images}


@pytest.mark.parametrize("shots", [None, 4])
@pytest.mark.parametrize("given", SPLITS)
def test_saved_arrays_are_redrawn_unless_val_is_given(given: str, shots: int | None, tmp_path: Path) -> None:
    task = Task.from_arrays(photos(60), LABELS, unlabeled=photos(5, 9), shots=shots, **SPLITS[given])
    again, *draws = variants(tmp_path, task, {}, {"draw": 1}, {"draw": 2})
    assert again.fingerprint == task.fingerprint
    for drawn in draws:
        assert torch.equal(drawn.test.images, task.test.images)
        assert torch.bincount(drawn.val.labels).tolist() == torch.bincount(task.val.labels).tolist()
        assert pixels(drawn.labeled, drawn.val) == pixels(task.labeled, task.val)
        assert (pixels(drawn.val) == pixels(task.val)) == given.startswith("val")
    assert (draws[0].fingerprint == draws[1].fingerprint) == given.startswith("val")


@pytest.mark.parametrize("given", SPLITS)
def test_saved_arrays_are_joined_and_divided_into_folds(given: str, tmp_path: Path) -> None:
    task = Task.from_arrays(photos(60), LABELS, unlabeled=photos(5, 9), shots=4, **SPLITS[given])
    every = pixels(task.labeled, task.val, task.test)
    changes = [{"folds": 4, "fold": fold} for fold in range(4)]
    with_val, with_all, *folds = variants(tmp_path, task, {"join": "val"}, {"join": "all"}, *changes)
    assert pixels(with_val.labeled) == pixels(task.labeled, task.val)
    assert pixels(with_all.labeled) == every
    assert sum(len(fold.test) for fold in folds) == len(every) == len(pixels(*(fold.test for fold in folds)))
    for fold in folds:
        assert pixels(fold.labeled, fold.test) == every
        assert len(fold.train) - fold.num_labeled == len(task.train) - task.num_labeled


def test_saved_task_keeps_the_groups_of_its_images(tmp_path: Path) -> None:
    data = DataConfig(name=str(make_folder(tmp_path / "set", 40)), image_px=16, group_by=r"\w+/\d")
    task = load_task(data)
    assert task.origin is not None and task.origin.groups is not None
    groups = dict(zip(pixels_in_order(task), task.origin.groups[task.origin.rows].tolist(), strict=True))
    (tmp_path / "saved").mkdir()
    for variant in variants(tmp_path / "saved", task, {"draw": 1}, {"draw": 2}, {"folds": 3, "fold": 1}):
        owners = [{groups[image] for image in pixels(split)} for split in (variant.train, variant.val, variant.test)]
        assert sum(map(len, owners)) == len(set.union(*owners)) == len(set(groups.values()))


def pixels_in_order(task: Task) -> list[bytes]:
    return [image.numpy().tobytes() for split in (task.train, task.val, task.test) for image in split.images]


def test_key_of_a_saved_task_depends_on_groups_and_on_who_chose_val() -> None:
    drawn = Task.from_arrays(photos(60), LABELS)
    assert drawn.origin is not None
    given = replace(drawn, origin=replace(drawn.origin, is_val_drawn=False))
    grouped = replace(drawn, origin=replace(drawn.origin, groups=np.arange(60) // 2))
    by_hand = replace(drawn, origin=None)
    assert len({saved_task_key(task) for task in (drawn, given, grouped, by_hand)}) == 4
    assert saved_task_key(Task.from_arrays(photos(60), LABELS)) == saved_task_key(drawn)


def test_task_that_was_saved_without_an_origin_keeps_its_val(tmp_path: Path) -> None:
    task = replace(Task.from_arrays(photos(60), LABELS), origin=None)
    (redrawn,) = variants(tmp_path, task, {"draw": 1})
    assert torch.equal(redrawn.val.images, task.val.images)
