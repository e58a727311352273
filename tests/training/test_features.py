"""Features of a foundation that teachers without a learned prompt share."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.method.mappings import MAPPINGS
from tdmr_ray.method.resize import resize
from tdmr_ray.training import features as features_module
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.features import (
    FEATURES,
    PLAIN,
    Features,
    ViewFeatures,
    compute_features,
    compute_view,
    features_keys,
    load_view,
    one_network_each,
    save_view,
    with_ids,
)
from tdmr_ray.training.networks import resident_export, resident_foundation
from tdmr_ray.training.reprogram import fit_teacher
from tdmr_ray.training.teacher_artifact import make_teacher, open_outputs
from tdmr_ray.training.teacher_outputs import training_views

CPU = torch.device("cpu")
MEMBERS = ({"name": "glyph_cnn"}, {"name": "glyph_vit"})
COMMITTEE = {"members": MEMBERS}


@pytest.fixture
def task(tiny_task: Task) -> Task:
    return with_ids(tiny_task)


@pytest.fixture(scope="module")
def digits() -> dict[str, Task]:
    """The same images, divided in three ways."""
    base = DataConfig(name="digits", shots=5, unlabeled=True)
    changed = {"first": {}, "redrawn": {"draw": 1}, "joined": {"draw": 2, "join": "val"}}
    return {name: load_task(base.model_copy(update=changes)) for name, changes in changed.items()}


def test_features_are_those_of_the_foundation(tiny_config: TrialConfig, task: Task) -> None:
    foundation = resident_foundation(tiny_config.foundation)
    features = compute_features(tiny_config, task)
    views = training_views(tiny_config, task)
    rows, numbers = torch.tensor([3, 35, 7]), torch.tensor([1, 0, 7])
    assert task.train.ids is not None
    assert task.val.ids is not None
    shown = views.batch(rows, numbers).images
    own = foundation.features(resize(shown, foundation.spec.size_px))
    torch.testing.assert_close(features.views(task.train.ids[rows], numbers), own, rtol=1e-3, atol=1e-3)
    plain = foundation.features(resize(task.val.images.float() / 255, foundation.spec.size_px))
    torch.testing.assert_close(features.plain(task.val.ids), plain, rtol=1e-3, atol=1e-3)


def test_features_from_onnx_runtime_are_the_same(
    tiny_config: TrialConfig, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tiny_config.replace(foundation={"name": "resnet10t", "weights": "random", "image_px": 32})
    monkeypatch.setattr(features_module, "worth_exporting", lambda foundation, num_images: False)
    expected = compute_view(small, task, PLAIN)
    monkeypatch.setattr(features_module, "worth_exporting", lambda foundation, num_images: True)
    exported = compute_view(small, task, PLAIN)
    assert resident_export(small.foundation) is not None
    np.testing.assert_allclose(exported.values, expected.values, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_teacher_from_features_equals_one_that_runs_its_foundation(
    mapping: str, tiny_config: TrialConfig, task: Task
) -> None:
    config = tiny_config.replace(mapping__kind=mapping, pseudo_labels__rounds=1)
    foundation = resident_foundation(config.foundation)
    fitted = [
        fit_teacher(config, task, foundation, CPU, features=given) for given in (None, compute_features(config, task))
    ]
    live, stored = (teacher.teacher.state_dict() for teacher in fitted)
    for name, value in live.items():
        torch.testing.assert_close(stored[name], value, rtol=0.01, atol=0.01, msg=name)
    assert fitted[0].val_metrics == pytest.approx(fitted[1].val_metrics, abs=0.02)


@pytest.mark.parametrize("mapping", ["linear", "prototype"])
def test_a_committee_reads_the_features_of_its_members(mapping: str, tiny_config: TrialConfig, task: Task) -> None:
    config = tiny_config.replace(foundation=COMMITTEE, mapping__kind=mapping)
    features = compute_features(config, task)
    assert task.val.ids is not None
    own = [compute_features(each, task).plain(task.val.ids) for each in one_network_each(config)]
    assert torch.equal(features.plain(task.val.ids), torch.cat(own, dim=1))
    foundation = resident_foundation(config.foundation)
    live, stored = (fit_teacher(config, task, foundation, CPU, features=given) for given in (None, features))
    assert live.val_metrics == pytest.approx(stored.val_metrics, abs=0.02)


def test_a_committee_shares_its_features_with_its_members(tiny_config: TrialConfig, task: Task) -> None:
    alone = {key for part in MEMBERS for key in features_keys(tiny_config.replace(foundation=part), task)}
    together = one_network_each(tiny_config.replace(foundation=COMMITTEE))
    assert {key for each in together for key in features_keys(each, task)} == alone


@pytest.mark.parametrize(("averaging", "mix"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5)])
def test_stored_outputs_from_features_equal_live_ones(
    averaging: float, mix: float, tiny_config: TrialConfig, tiny_task: Task
) -> None:
    config = tiny_config.replace(outputs__view_averaging=averaging, views__mix=mix)
    artifact = make_teacher(config, tiny_task)
    view = training_views(config, tiny_task).batch(torch.arange(42), 1)
    stored = open_outputs(config, tiny_task, artifact).batch(view)
    live = open_outputs(config, tiny_task, replace(artifact, outputs=None)).batch(view)
    for own, other in zip(stored, live, strict=True):
        torch.testing.assert_close(own, other, rtol=0.01, atol=0.02)


def test_divisions_of_a_data_set_share_features_and_views(digits: dict[str, Task], tiny_config: TrialConfig) -> None:
    config = tiny_config.replace(seed=3)
    keys = {tuple(features_keys(config.replace(seed=seed), task)) for seed, task in enumerate(digits.values())}
    assert len(keys) == 1
    shown = {}
    for name, task in digits.items():
        views = training_views(config, task)
        place = int(torch.nonzero(views.ids == views.ids.max())[0])
        shown[name, int(views.ids[place])] = views.batch(torch.tensor([place]), 2).images
    found = {number for _, number in shown}
    assert len(found) < len(shown), "an image is in two of the train splits"
    for number in found:
        first, *others = (images for (_, own), images in shown.items() if own == number)
        assert all(torch.equal(first, other) for other in others)


@pytest.mark.parametrize(
    "values",
    [
        {"foundation.name": "glyph_vit"},
        {"views.strength": 0.5},
        {"views.seed": 1},
        {"precision": "bf16"},
    ],
    ids=str,
)
def test_the_key_follows_what_features_depend_on(
    values: dict[str, object], tiny_config: TrialConfig, task: Task
) -> None:
    own, other = (features_keys(config, task) for config in (tiny_config, tiny_config.with_values(values)))
    assert set(own).isdisjoint(other)


@pytest.mark.parametrize(
    "values",
    [
        {"mapping.kind": "prototype"},
        {"seed": 1},
        {"outputs.num_views": 4},
        {"outputs.view_averaging": 0.5},
        {"views.mix": 0.5},
    ],
    ids=str,
)
def test_the_key_ignores_what_they_do_not_depend_on(
    values: dict[str, object], tiny_config: TrialConfig, task: Task
) -> None:
    assert features_keys(tiny_config.with_values(values), task) == features_keys(tiny_config, task)


def test_more_views_keep_the_features_of_those_that_exist(tiny_config: TrialConfig, task: Task) -> None:
    own, more = (features_keys(tiny_config.replace(outputs__num_views=number), task) for number in (8, 10))
    assert (len(own), len(more)) == (9, 11)
    assert more[:9] == own


def test_the_key_follows_the_images(tiny_config: TrialConfig, task: Task) -> None:
    other = replace(task, train=replace(task.train, images=255 - task.train.images))
    assert set(features_keys(tiny_config, other)).isdisjoint(features_keys(tiny_config, task))


def test_the_trials_seed_can_decide_the_views(tiny_config: TrialConfig, tiny_task: Task) -> None:
    own = tiny_config.replace(views__seed=None, seed=5)
    shown = [training_views(config, tiny_task).batch(torch.arange(3), 0).images for config in (tiny_config, own)]
    assert not torch.equal(*shown)
    assert own.view_seed == 5


@pytest.mark.parametrize("number", [PLAIN, 1])
def test_features_on_disk_equal_those_in_memory(
    number: int, tmp_path: Path, tiny_config: TrialConfig, task: Task
) -> None:
    expected = compute_view(tiny_config, task, number)
    save_view(expected, tmp_path)
    found = load_view(tmp_path)
    assert isinstance(found.values, np.memmap)
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.ids, expected.ids)
    assert (tmp_path / FEATURES).stat().st_size == pytest.approx(expected.values.nbytes, abs=200)


def test_features_beyond_half_precision_stay_finite() -> None:
    """A foundation whose features exceed 65,504 would otherwise store infinity."""
    from tdmr_ray.method.teacher import to_half

    assert to_half(torch.tensor([1e6, -1e6])).isfinite().all()


def test_images_by_hand_are_numbered_apart(tiny_task: Task) -> None:
    numbered = with_ids(tiny_task)
    assert numbered.train.ids is not None
    assert numbered.val.ids is not None
    ids = torch.cat([numbered.train.ids, numbered.val.ids])
    assert len(ids.unique()) == len(ids)


def test_features_are_looked_up_by_id() -> None:
    ids = np.array([10, 20, 30])
    values = np.arange(3 * 3, dtype=np.float16).reshape(3, 3, 1)
    features = Features([[ViewFeatures(ids, part) for part in values]])
    assert features.plain(torch.tensor([30, 10])).flatten().tolist() == [2, 0]
    assert features.views(torch.tensor([20, 10, 30]), torch.tensor([0, 1, 0])).flatten().tolist() == [4, 6, 5]
    assert features.num_views == 2
