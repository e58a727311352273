"""Tasks in the memory of a process, decoded once for a machine."""

from pathlib import Path

import pytest
import torch

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.decoded import open_task, save_task, task_key
from tdmr_ray.data.task import Task
from tdmr_ray.runner import task_cache
from tdmr_ray.runner.leases import LeaseTable
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.runner.task_cache import MAX_TASKS, TaskCache
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


def test_only_the_most_recent_tasks_stay_in_memory(tmp_path: Path) -> None:
    tasks = TaskCache(SharedStore(Store(tmp_path), LeaseTable()))
    first = tasks.get(FEW)
    for seed in range(1, MAX_TASKS + 1):
        tasks.get(FEW.model_copy(update={"shots_seed": seed}))
    assert tasks.get(FEW) is not first


def test_key_depends_on_the_configuration() -> None:
    assert task_key(FEW) != task_key(DataConfig())
