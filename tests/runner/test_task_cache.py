"""Tasks in the memory of a process, decoded once for a machine."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import make_folder

from tdmr_ray.data import datasets
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import forget_datasets
from tdmr_ray.data.decoded import open_task, save_task, task_key
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.runner import task_cache
from tdmr_ray.runner.leases import LeaseTable
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import HOLDS, Store

FEW = DataConfig(name="digits", shots=3)


def test_decoded_images_are_mapped_from_the_store(tmp_path: Path, tiny_task: Task) -> None:
    save_task(tiny_task, tmp_path)
    opened = open_task(tmp_path)
    for name in ("train", "val", "test"):
        for field in ("images", "labels"):
            assert torch.equal(getattr(getattr(opened, name), field), getattr(getattr(tiny_task, name), field))
    facts = ("num_labeled", "class_names", "preset", "fingerprint")
    assert [getattr(opened, name) for name in facts] == [getattr(tiny_task, name) for name in facts]


def test_a_task_is_decoded_into_the_store_and_held_there(tmp_path: Path) -> None:
    tasks = TaskCache(SharedStore(Store(tmp_path), LeaseTable()))
    task = tasks.get(FEW)
    assert len(task.train) == 30
    assert tasks.get(FEW) is task
    assert tasks.shared is not None and tasks.shared.store.has(task_key(FEW))
    assert [mark.name.split(".")[0] for mark in (tmp_path / HOLDS).iterdir()] == [task_key(FEW)]


def test_a_task_is_the_same_with_and_without_a_store(tmp_path: Path) -> None:
    stored = TaskCache(SharedStore(Store(tmp_path), LeaseTable())).get(FEW)
    assert TaskCache().get(FEW).fingerprint == stored.fingerprint


def test_two_caches_share_nothing() -> None:
    assert TaskCache().get(FEW) is not TaskCache().get(FEW)


def test_a_machine_that_has_only_the_store_needs_the_key_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = task_key(FEW)
    TaskCache(SharedStore(Store(tmp_path), LeaseTable())).get(FEW)

    def fail(data: DataConfig) -> str:
        raise AssertionError("looked at the user's files")

    monkeypatch.setattr(task_cache, "task_key", fail)
    other = TaskCache(SharedStore(Store(tmp_path), LeaseTable()))
    assert len(other.get(FEW, key=key).train) == 30
    assert other.key(FEW) == key
    assert other.get(FEW) is other.get(FEW, key=key)


def test_only_the_most_recently_used_tasks_stay_in_memory(tmp_path: Path) -> None:
    tasks = TaskCache(SharedStore(Store(tmp_path), LeaseTable()), most=2)
    configs = [FEW.model_copy(update={"shots_seed": seed}) for seed in range(3)]
    first, second = (tasks.get(config) for config in configs[:2])
    assert tasks.get(configs[0]) is first
    tasks.get(configs[2])
    assert tasks.get(configs[0]) is first
    assert tasks.get(configs[1]) is not second


SHOTS = 4
LABELS_A_CLASS, CLASSES = 20, 2
VARIANTS: dict[str, dict[str, object]] = {
    "redrawn": {"draw": 1},
    "redrawn without the unlabelled": {"draw": 2, "unlabeled": False},
    "refit": {"draw": 1, "join": "val"},
    "refit with test": {"join": "all", "unlabeled": False},
    "fold": {"folds": 5, "fold": 4},
    "fold without the unlabelled": {"folds": 5, "fold": 2, "unlabeled": False},
    "fewer labels": {"shots": 2},
}


class CountedDecoding:
    """Decodes files as ever and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.read = 0, datasets.read_image
        monkeypatch.setattr(datasets, "read_image", self)

    def __call__(self, *arguments: Any) -> NDArray[np.uint8]:
        self.count += 1
        return self.read(*arguments)


@pytest.mark.parametrize("near_duplicates", ["keep", "group"])
def test_variants_of_a_task_decode_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near_duplicates: str
) -> None:
    decoding = CountedDecoding(monkeypatch)
    base = DataConfig(
        name=str(make_folder(tmp_path / "set", LABELS_A_CLASS)),
        image_px=16,
        shots=SHOTS,
        unlabeled=True,
        near_duplicates=near_duplicates,
    )
    tasks = TaskCache(SharedStore(Store(tmp_path / "store"), LeaseTable()))
    tasks.get(base)
    num_images = LABELS_A_CLASS * CLASSES
    assert decoding.count == num_images * (2 if near_duplicates == "group" else 1)
    decoding.count = 0
    again = TaskCache(SharedStore(Store(tmp_path / "store"), LeaseTable()))
    variants = {name: again.get(base.model_copy(update=changes)) for name, changes in VARIANTS.items()}
    assert decoding.count == 0
    for name, changes in VARIANTS.items():
        assert variants[name].fingerprint == load_task(base.model_copy(update=changes)).fingerprint


def test_only_images_that_no_task_in_memory_holds_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = CountedDecoding(monkeypatch)
    base = DataConfig(name=str(make_folder(tmp_path / "set", LABELS_A_CLASS)), image_px=16, shots=SHOTS)
    tasks = TaskCache(SharedStore(Store(tmp_path / "store"), LeaseTable()))
    counts: list[int] = []
    for fold in range(5):
        tasks.get(base.model_copy(update={"folds": 5, "fold": fold}), on_progress=counts.append)
    assert decoding.count == LABELS_A_CLASS * CLASSES
    assert sum(counts) == LABELS_A_CLASS * CLASSES - len(tasks.get(base).train) - len(tasks.get(base).val) - len(
        tasks.get(base).test
    )


def test_a_machine_that_has_only_the_store_opens_variants_by_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = DataConfig(name=str(make_folder(tmp_path / "set", LABELS_A_CLASS)), image_px=16, shots=SHOTS)
    shared = StoragePath(tmp_path / "shared")
    driver = TaskCache(SharedStore(Store(tmp_path / "driver", shared), LeaseTable()))
    variants = [base.model_copy(update=changes) for changes in VARIANTS.values()]
    prints = [driver.get(data).fingerprint for data in variants]
    keys = [driver.key(data) for data in variants]
    (tmp_path / "set").rename(tmp_path / "gone")
    forget_datasets()
    worker = TaskCache(SharedStore(Store(tmp_path / "worker", shared), LeaseTable()))
    assert [worker.get(data, key=key).fingerprint for data, key in zip(variants, keys, strict=True)] == prints


def test_variants_are_not_held_and_are_made_again_without_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = DataConfig(name=str(make_folder(tmp_path / "set", LABELS_A_CLASS)), image_px=16)
    shared = SharedStore(Store(tmp_path / "store"), LeaseTable())
    first = TaskCache(shared).get(base.model_copy(update={"draw": 1}))
    decoding = CountedDecoding(monkeypatch)
    assert {mark.name.split(".")[0] for mark in (tmp_path / "store" / HOLDS).iterdir()} == {task_key(base)}
    shared.store.remove(task_key(base.model_copy(update={"draw": 1})))
    again = TaskCache(shared).get(base.model_copy(update={"draw": 1}))
    assert decoding.count == 0
    assert torch.equal(again.train.images, first.train.images)


@pytest.mark.parametrize("changes", [{}, {"draw": 1}, {"folds": 5, "fold": 1}])
@pytest.mark.parametrize("grouped", [False, True])
def test_the_origin_of_a_task_is_stored_with_it(tmp_path: Path, changes: dict[str, object], grouped: bool) -> None:
    name = str(make_folder(tmp_path / "set", LABELS_A_CLASS))
    (tmp_path / "set" / "left" / "0.jpg").write_bytes(b"no image")
    base = DataConfig(
        name=name, image_px=16, group_by=r"(\w+/\d)" if grouped else None, on_bad_image="skip", unlabeled=True
    )
    data = base.model_copy(update=changes)
    loaded = load_task(data).origin
    stored = TaskCache(SharedStore(Store(tmp_path / "store"), LeaseTable())).get(data).origin
    assert loaded is not None and stored is not None
    assert np.array_equal(loaded.rows, stored.rows)
    assert (loaded.groups is None) == (stored.groups is None) == (not grouped)
    assert not grouped or np.array_equal(np.array(loaded.groups), np.array(stored.groups))
    for field in ("key", "bad", "grouping", "is_val_drawn"):
        assert getattr(loaded, field) == getattr(stored, field)


def test_key_depends_on_the_configuration() -> None:
    assert task_key(FEW) != task_key(DataConfig())
