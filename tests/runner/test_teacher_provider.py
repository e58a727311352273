"""A teacher artifact is made once, whoever asks; decoded images are shared."""

import threading
from functools import partial
from pathlib import Path

import pytest
import torch

from tdmr_ray.data.decoded import open_task, save_task, task_key
from tdmr_ray.data.task import Task
from tdmr_ray.runner import teacher_provider
from tdmr_ray.runner.leases import EXPIRES_S, LeaseTable, renewed
from tdmr_ray.runner.teacher_provider import SharedStore, StoredTeacherProvider, resident_task
from tdmr_ray.store import HOLDS, Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import make_teacher


def foundry_in(folder: Path) -> StoredTeacherProvider:
    return StoredTeacherProvider(SharedStore(Store(folder), LeaseTable()))


def test_the_second_time_it_is_taken_from_the_store(
    tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def count(config: TrialConfig, task: Task) -> object:
        made.append(config)
        return make_teacher(config, task)

    monkeypatch.setattr(teacher_provider, "make_teacher", count)
    first, second = foundry_in(tmp_path), foundry_in(tmp_path)
    artifact = first(tiny_config, tiny_task)
    assert second(tiny_config, tiny_task).val_top1 == artifact.val_top1
    assert (first.reused, second.reused) == (False, True)
    assert first.key == second.key
    assert first.seconds == second.seconds > 0
    assert len(made) == 1
    second(tiny_config.replace(prompt__size_px=2), tiny_task)
    assert len(made) == 2


def test_a_damaged_program_is_made_again(tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task) -> None:
    provider = foundry_in(tmp_path)
    provider(tiny_config, tiny_task)
    (tmp_path / provider.key / "logits.npy").write_bytes(b"broken")
    provider(tiny_config, tiny_task)
    assert not provider.reused
    provider(tiny_config, tiny_task)
    assert provider.reused


def test_a_program_is_held_until_the_next_one(tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task) -> None:
    provider = foundry_in(tmp_path)
    for config in (tiny_config, tiny_config.replace(prompt__size_px=2)):
        provider(config, tiny_task)
        (mark,) = (tmp_path / HOLDS).iterdir()
        assert mark.name.startswith(provider.key)
    provider.expect()
    assert list((tmp_path / HOLDS).iterdir()) == []


def test_of_two_that_need_it_at_once_one_makes_it_and_the_other_waits(tmp_path: Path) -> None:
    leases, begun, go_on, answers = LeaseTable(), threading.Event(), threading.Event(), []

    def write(folder: Path) -> None:
        begun.set()
        assert go_on.wait(60)
        (folder / "a.txt").write_text("made")

    def obtain() -> None:
        shared = SharedStore(Store(tmp_path), leases)
        _, reused = shared.obtain("key", partial(shared.store.add, write=write))
        answers.append((reused, shared.waited_s > 0.1))

    threads = [threading.Thread(target=obtain) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert begun.wait(60)
    threading.Timer(0.5, go_on.set).start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [(False, False), (True, True)]


def test_a_lease_has_one_holder_until_it_is_given_back_or_expires() -> None:
    now = [0.0]
    leases = LeaseTable(clock=lambda: now[0])
    assert leases.take("key", "one")
    assert not leases.take("key", "two")
    assert leases.take("other", "two")
    leases.give_back("key", "two")
    assert not leases.take("key", "two"), "only its holder gives a lease back"
    leases.give_back("key", "one")
    assert leases.take("key", "two")
    now[0] += EXPIRES_S * 0.9
    assert leases.take("key", "two"), "asking again renews it"
    now[0] += EXPIRES_S * 0.9
    assert not leases.take("key", "one")
    now[0] += EXPIRES_S * 0.2
    assert leases.take("key", "one"), "its holder is dead"


def test_a_lease_is_renewed_while_its_holder_works() -> None:
    leases = LeaseTable(expires_s=0.3)
    assert leases.take("key", "one")
    waited = threading.Event()
    with renewed(leases, "key", "one", every_s=0.05):
        assert not waited.wait(1.0)
        assert not leases.take("key", "two")
    assert leases.take("key", "two")


def test_a_failure_gives_the_lease_back(tmp_path: Path) -> None:
    leases = LeaseTable()

    def fail(_: Path) -> None:
        raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        SharedStore(Store(tmp_path), leases).obtain("key", partial(Store(tmp_path).add, write=fail))
    assert leases.take("key", "another")


def test_decoded_images_are_mapped_from_the_store(tmp_path: Path, tiny_task: Task) -> None:
    save_task(tiny_task, tmp_path)
    opened = open_task(tmp_path)
    for name in ("train", "val", "test"):
        for field in ("images", "labels"):
            assert torch.equal(getattr(getattr(opened, name), field), getattr(getattr(tiny_task, name), field))
    facts = ("num_labeled", "class_names", "mirror", "fingerprint")
    assert [getattr(opened, name) for name in facts] == [getattr(tiny_task, name) for name in facts]


def test_all_trials_of_a_machine_open_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_provider, "_tasks", {})
    config = TrialConfig().with_values({"data.shots": 3})
    shared = SharedStore(Store(tmp_path), LeaseTable())
    task = resident_task(config, shared)
    assert shared.store.has(task_key(config.data))
    assert [mark.name.split(".")[0] for mark in (tmp_path / HOLDS).iterdir()] == [task_key(config.data)]
    assert resident_task(config, shared) is task
    assert len(task.train) == 30
    monkeypatch.setattr(teacher_provider, "_tasks", {})
    assert resident_task(config).fingerprint == task.fingerprint
    assert task_key(config.data) != task_key(TrialConfig().data)
