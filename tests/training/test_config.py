"""Configurations and controls."""

import pytest
import torch
from pydantic import ValidationError

from tdmr_ray.data.task import Images, Task
from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS

FULL = TrialConfig().with_values(
    {
        "data.unlabeled": True,
        "foundation.name": "glyph_vit",
        "target.name": "lcnet_035",
        "prompt.size_px": 4,
        "mapping.kind": "bayesian",
        "temperature.schedule": "cosine",
        "distill.num_stages": 3,
        "precision": "bf16",
        "seed": 5,
    }
)

SOME = Images(torch.zeros(1000, 3, 1, 1, dtype=torch.uint8), torch.zeros(1000, dtype=torch.int64))
TASK = Task(SOME, 100, SOME, SOME, ("a", "b"), mirror=False, fingerprint="")
"""100 labelled images, 900 without labels."""


def control_of(name: str, finalist: TrialConfig, task: Task = TASK, min_steps: int = 1500) -> TrialConfig:
    return CONTROLS[name]().configure(finalist, task, min_steps)


def test_survives_json_and_keeps_its_key() -> None:
    again = TrialConfig.model_validate_json(FULL.model_dump_json())
    assert again == FULL
    assert again.key() == FULL.key()


@pytest.mark.parametrize("change", [{"seed": 6}, {"prompt.size_px": 2}, {"temperature.end": 1.5}], ids=str)
def test_key_follows_every_value(change: dict[str, object]) -> None:
    assert FULL.with_values(change).key() != FULL.key()


@pytest.mark.parametrize(
    "change",
    [
        {"prompt.size": 2},
        {"nothing": 1},
        {"mapping.kind": "best"},
        {"precision": "fp16"},
        {"distill.num_stages": 0},
        {"distill.num_stages": 40},
    ],
    ids=str,
)
def test_illegal_values_are_refused(change: dict[str, object]) -> None:
    changed = {"distill.num_stages": 8, "distill.epochs": 4} if "distill.num_stages" in change else {}
    with pytest.raises(ValidationError):
        FULL.with_values({**changed, **change})


@pytest.mark.parametrize("name", CONTROLS)
def test_contract_of_every_control(name: str) -> None:
    control = control_of(name, FULL)
    assert (control.seed, control.precision) == (FULL.seed, FULL.precision)
    assert control.prompt.size_px == 0
    assert control.distill.num_stages == 1
    assert control.temperature.schedule == "constant"
    assert control.outputs.view_averaging == 0
    assert control.pseudo_labels.rounds == 0


@pytest.mark.parametrize("name", ["scratch", "fine_tune"])
def test_controls_without_a_teacher_get_the_steps_they_need(name: str) -> None:
    control = control_of(name, FULL)
    assert control.distill.epochs == 188  # 100 images are shown 5 times an epoch: 8 batches of 64
    assert not control.needs_teacher
    assert not control.data.unlabeled
    assert control.foundation.name == ""
    assert (control.target.weights == PRETRAINED) == (name == "fine_tune")


def test_controls_have_the_finalists_size_of_image_and_fine_tuning_its_weights() -> None:
    finalist = FULL.with_values({"target.input_px": 24, "target.weights": "own.pth"})
    weights = {name: control_of(name, finalist, TASK, 100).target for name in ("scratch", "fine_tune", "plain_kd")}
    assert {target.input_px for target in weights.values()} == {24}
    assert [target.weights for target in weights.values()] == ["", "own.pth", "own.pth"]


def test_self_training_has_those_steps_twice_and_the_same_images() -> None:
    control = control_of("self_training", FULL)
    assert control.distill.epochs == 94  # 1,000 images: 16 batches of 64
    assert control.num_epochs == 188
    assert control.data == FULL.data
    assert not control.needs_teacher


def test_pairs_with_one_target_share_scratch_and_pairs_with_one_foundation_the_probe() -> None:
    other = FULL.with_values({"foundation.name": "glyph_cnn", "prompt.size_px": 2})
    assert control_of("scratch", FULL) == control_of("scratch", other)
    faster = FULL.replace(distill__lr=0.02)
    assert control_of("scratch", FULL) == control_of("scratch", faster, TASK, 1500)
    smaller = FULL.with_values({"target.name": "resnet10t", "distill.num_stages": 1})
    assert control_of("linear_probe", FULL) == control_of("linear_probe", smaller, TASK, 1500)


def test_plain_kd_sees_the_same_images() -> None:
    control = control_of("plain_kd", FULL)
    assert control.data == FULL.data
    assert control.distill.epochs == FULL.distill.epochs
    assert (control.mapping.kind, control.distill.alignment_weight) == ("linear", 0.0)
