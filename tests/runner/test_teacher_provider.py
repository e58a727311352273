"""Teachers from a store: each is made once."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tdmr_ray.data.task import Images, Task
from tdmr_ray.runner import teacher_provider
from tdmr_ray.runner.leases import LeaseTable
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.runner.teacher_provider import GroupTeacherProvider, StoredTeacherProvider
from tdmr_ray.store import HOLDS, Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.features import NUM_SHARED_VIEWS, FeaturesProvider, ViewFeatures, compute_view, with_ids
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher
from tdmr_ray.training.workers import ALONE

NUM_PARTS = 1 + NUM_SHARED_VIEWS
"""Images as they are, and their views."""


def provider_in(folder: Path) -> StoredTeacherProvider:
    return StoredTeacherProvider(SharedStore(Store(folder), LeaseTable()))


def features_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("features-*")}


def test_a_teacher_is_made_once_and_then_loaded(
    tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def count(config: TrialConfig, task: Task, **features: FeaturesProvider) -> TeacherArtifact:
        made.append(config)
        return make_teacher(config, task, **features)

    monkeypatch.setattr(teacher_provider, "make_teacher", count)
    first, second = provider_in(tmp_path), provider_in(tmp_path)
    artifact = first(tiny_config, tiny_task)
    assert second(tiny_config, tiny_task).val_top1 == artifact.val_top1
    assert (first.reused, second.reused) == (False, True)
    assert first.key == second.key
    assert first.seconds == second.seconds > 0
    assert len(made) == 1
    second(tiny_config.replace(prompt__size_px=2), tiny_task)
    assert len(made) == 2


def test_a_damaged_artifact_is_made_again(tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task) -> None:
    provider = provider_in(tmp_path)
    provider(tiny_config, tiny_task)
    (tmp_path / provider.key / "logits.npy").write_bytes(b"broken")
    provider(tiny_config, tiny_task)
    assert not provider.reused
    provider(tiny_config, tiny_task)
    assert provider.reused


def test_an_artifact_is_held_until_the_next_one(tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task) -> None:
    provider = provider_in(tmp_path)
    for config in (tiny_config, tiny_config.replace(prompt__size_px=2)):
        provider(config, tiny_task)
        held = {mark.name.split(".")[0] for mark in (tmp_path / HOLDS).iterdir()}
        assert held == {provider.key, *(set() if config.prompt.size_px else features_in(tmp_path))}
    provider.expect()
    assert list((tmp_path / HOLDS).iterdir()) == []


def test_a_group_makes_a_teacher_once(tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task) -> None:
    found: list[TeacherArtifact] = []
    for reused in (False, True):
        provider = GroupTeacherProvider(SharedStore(Store(tmp_path), LeaseTable()), ALONE)
        found.append(provider(tiny_config, tiny_task))
        assert provider.reused is reused
    assert found[0].val_top1 == found[1].val_top1


def other_division(task: Task) -> Task:
    """The same images; the last ones of train have changed places with those of val."""
    stay = len(task.train) - len(task.val)
    splits = [task.train.pick(slice(stay)), task.train.pick(slice(stay, None)), task.val]
    parts = [[getattr(split, name) for split in splits] for name in ("images", "labels", "ids")]
    train = Images(*(torch.cat([first, last]) for first, _, last in parts))
    return replace(task, train=train, val=splits[1], fingerprint="another division")


@pytest.mark.parametrize("grouped", [False, True])
def test_teachers_of_other_mappings_seeds_and_divisions_share_features(
    grouped: bool, tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task
) -> None:
    shared = SharedStore(Store(tmp_path), LeaseTable())
    provider = GroupTeacherProvider(shared, ALONE) if grouped else StoredTeacherProvider(shared)
    task = with_ids(tiny_task)
    provider(tiny_config, task)
    provider(tiny_config.replace(mapping__kind="prototype", seed=1), other_division(task))
    assert len(features_in(tmp_path)) == NUM_PARTS
    provider(tiny_config.replace(prompt__size_px=2), task)
    assert len(features_in(tmp_path)) == NUM_PARTS, "a learned prompt has features of its own, which are not kept"
    provider(tiny_config.replace(foundation__name="glyph_vit"), task)
    assert len(features_in(tmp_path)) == 2 * NUM_PARTS


@pytest.mark.parametrize("mapping", ["linear", "prototype"])
def test_two_processes_that_need_a_foundation_divide_its_views(
    mapping: str, tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one needs the same teacher or another one; each waits for the other after its first view."""
    makers: list[tuple[int, int]] = []
    both, leases, seen = threading.Barrier(2, timeout=60), LeaseTable(), set[int]()

    def watched(config: TrialConfig, task: Task, number: int) -> ViewFeatures:
        makers.append((number, threading.get_ident()))
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            both.wait()
        return compute_view(config, task, number)

    monkeypatch.setattr(teacher_provider, "compute_view", watched)
    task, found = with_ids(tiny_task), {}

    def provide(config: TrialConfig) -> None:
        provider = StoredTeacherProvider(SharedStore(Store(tmp_path), leases))
        found[threading.get_ident()] = provider(config, task).val_top1

    configs = (tiny_config.replace(mapping__kind="linear"), tiny_config.replace(mapping__kind=mapping))
    threads = [threading.Thread(target=provide, args=(config,)) for config in configs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert sorted(number for number, _ in makers) == list(range(-1, NUM_PARTS - 1)), "each view was computed once"
    assert len({process for _, process in makers}) == 2
