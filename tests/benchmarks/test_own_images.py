"""Benchmarks of the user's own images: folders, divisions and figures, on images made here."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import many_unlabeled, unlabeled_photos
from benchmarks.group_leakage import DIVISIONS, SHOTS, divide, make_bursts
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.split_names import TEST, TRAIN, UNLABELED


def write_classes(root: Path, per_class: int) -> Path:
    for number in range(2):
        folder = root / f"class{number}"
        folder.mkdir(parents=True)
        for index in range(per_class):
            Image.new("RGB", (8, 8), (100 * number, index, 0)).save(folder / f"{index}.png")
    return root


def test_unlabeled_photos_lays_out_disjoint_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TRAIN": 3, "TEST": 2, "UNLABELED": 4}.items():
        monkeypatch.setattr(unlabeled_photos, name, value)
    folder = tmp_path / "set"
    unlabeled_photos.lay_out(write_classes(tmp_path / "all", 8), folder)
    dataset = load_dataset(DataConfig(name=str(folder)))
    labels = dataset.labels.numpy()
    assert dataset.splits is not None
    assert np.bincount(labels[(dataset.splits == TRAIN) & (labels != UNLABELED)]).tolist() == [3, 3]
    assert np.bincount(labels[dataset.splits == TEST]).tolist() == [2, 2]
    contents = [path.read_bytes() for path in folder.rglob("*.png")]
    assert (int((labels == UNLABELED).sum()), len(set(contents))) == (4, len(contents))


def test_many_unlabeled_makes_different_photos_of_each_kind(tmp_path: Path) -> None:
    many_unlabeled.make_photos(tmp_path / "photos", 7)
    labels = load_dataset(DataConfig(name=str(tmp_path / "photos"))).labels
    assert (int((labels == UNLABELED).sum()), len(labels)) == (7, 7 + 2 * many_unlabeled.NUM_LABELED)
    assert len({path.read_bytes() for path in tmp_path.rglob("*.jpg")}) == len(labels)


@pytest.mark.parametrize(
    ("division", "val_shares", "test_shares"),
    [(DIVISIONS[0], True, True), (DIVISIONS[1], True, False), (DIVISIONS[2], False, False)],
)
def test_group_leakage_divides_objects_as_it_says(
    division: str, val_shares: bool, test_shares: bool, tmp_path: Path
) -> None:
    shots, labels, objects = make_bursts(write_classes(tmp_path, 12))
    split = divide(labels, objects, division, seed=0)
    assert len(shots) == SHOTS * 24
    shared = [bool(np.isin(objects[rows], objects[split.labeled]).any()) for rows in (split.val, split.test)]
    assert shared == [val_shares, test_shares]


def test_group_leakage_tests_on_the_same_images_with_and_without_groups_in_val(tmp_path: Path) -> None:
    _, labels, objects = make_bursts(write_classes(tmp_path, 12))
    tests = [divide(labels, objects, division, seed=1).test.tolist() for division in DIVISIONS[1:]]
    assert tests[0] == tests[1]
