"""Controls: every one keeps the finalist's conditions and drops what was searched."""

import pytest
import torch
from helpers.registries import component_classes
from pydantic import ValidationError

from tdmr_ray.data.task import Images, Task
from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.testing import check_config
from tdmr_ray.training import controls
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS, Control, ControlFacts, PlainKD, SelfTrainingControl, build_control
from tdmr_ray.training.sections import TargetConfig
from tdmr_ray.training.steps import num_steps

FULL = TrialConfig().with_values(
    {
        "data.unlabeled": True,
        "foundation.name": "glyph_vit",
        "target.name": "lcnet_035",
        "prompt.size_px": 4,
        "mapping.kind": "bayesian",
        "temperature.schedule": "cosine",
        "loss.kind": "dkd",
        "alignment.kind": "project",
        "outputs.view_averaging": 0.5,
        "pseudo_labels.rounds": 1,
        "distill.num_stages": 3,
        "distill.patience": 0.5,
        "distill.class_weights": "balanced",
        "precision": "bf16",
        "seed": 5,
    }
)

SOME = Images(torch.zeros(1000, 3, 1, 1, dtype=torch.uint8), torch.zeros(1000, dtype=torch.int64))
TASK = Task(SOME, 100, SOME, SOME, ("a", "b"), preset="document", fingerprint="")
"""100 labelled images, 900 without labels."""
TRAINED = [name for name, control in CONTROLS.items() if control.trains]
FROM_PRETRAINED = ("fine_tune", "frozen_target", "self_training_pretrained")


def control_of(name: str, finalist: TrialConfig, task: Task = TASK, steps: int = 1500) -> TrialConfig:
    return CONTROLS[name]().configure(finalist, task, steps)


def test_registry_holds_every_class_of_its_package() -> None:
    assert set(CONTROLS.values()) == component_classes(controls, Control)


@pytest.mark.parametrize("name", CONTROLS)
def test_control_has_its_own_config_file_and_documentation(name: str) -> None:
    control = CONTROLS[name]
    assert control.__module__ == f"{controls.__name__}.{name}"
    assert "Config" in vars(control)
    check_config(control.Config, "kind", name)
    assert control.__doc__
    assert control.Config.__doc__
    assert isinstance(build_control(control.Config()), control)
    assert build_control(control.Config()).config == CONTROLS[name]().config == control.Config()


@pytest.mark.parametrize("name", CONTROLS)
def test_control_is_a_legal_trial_with_the_finalists_seed_and_precision(name: str) -> None:
    control = control_of(name, FULL)
    assert TrialConfig.model_validate_json(control.model_dump_json()) == control
    assert (control.seed, control.precision) == (FULL.seed, FULL.precision)
    assert control.views == FULL.views
    assert control.needs_teacher is CONTROLS[name].has_foundation
    assert control.foundation.name == ("glyph_vit" if CONTROLS[name].has_foundation else "")
    assert control.target.name == ("lcnet_035" if CONTROLS[name].has_target else "")
    assert control.trains_target is CONTROLS[name].trains


def test_only_small_networks_ship() -> None:
    assert {name for name, control in CONTROLS.items() if not control.ships} == {"linear_probe", "majority"}
    assert {name for name, control in CONTROLS.items() if not control.has_target} == {"linear_probe", "majority"}
    assert set(CONTROLS) - set(TRAINED) == {"linear_probe", "majority", "frozen_target"}


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("steps", [100, 1500])
def test_every_control_that_trains_gets_the_same_steps_and_the_finalists_rule_for_ending_early(
    name: str, steps: int
) -> None:
    control = control_of(name, FULL, TASK, steps)
    images = 100 if control.method == "scratch" else 1000
    epoch = batches_per_epoch(images, control.distill.batch_size) * control.num_trainings
    assert steps <= num_steps(control, TASK) < steps + epoch
    assert (control.distill.patience, control.distill.class_weights) == (0.5, "balanced")


@pytest.mark.parametrize("name", CONTROLS)
def test_control_drops_everything_that_was_searched(name: str) -> None:
    control = control_of(name, FULL)
    assert control.prompt == TrialConfig().prompt
    assert control.mapping == TrialConfig().mapping
    assert control.loss == TrialConfig().loss
    assert control.distill.num_stages == 1
    assert control.temperature.schedule == "constant"
    assert control.outputs.view_averaging == 0
    assert control.pseudo_labels.rounds == 0


@pytest.mark.parametrize("name", ["scratch", "fine_tune"])
def test_scratch_and_fine_tuning_train_on_labels_alone(name: str) -> None:
    control = control_of(name, FULL)
    assert control.distill.epochs == 188  # 100 images are shown 5 times an epoch: 8 batches of 64
    assert not control.needs_teacher
    assert not control.data.unlabeled
    assert control.foundation.name == ""
    assert (control.target.weights == PRETRAINED) == (name == "fine_tune")


def test_controls_keep_the_finalists_input_size_and_fine_tuning_its_weights() -> None:
    finalist = FULL.with_values({"target.input_px": 24, "target.weights": "own.pth"})
    names = [name for name in CONTROLS if CONTROLS[name].has_target]
    targets = {name: control_of(name, finalist, TASK, 100).target for name in names}
    assert {target.input_px for target in targets.values()} == {24}
    random = {name for name in names if not targets[name].weights}
    assert random == {"scratch", "self_training"}
    assert {targets[name].weights for name in set(names) - random} == {"own.pth"}


@pytest.mark.parametrize("name", ["self_training", "self_training_pretrained"])
def test_each_training_of_self_training_gets_half_of_the_steps_and_the_same_images(name: str) -> None:
    control = control_of(name, FULL)
    assert control.distill.epochs == 47  # 1,000 images: 16 batches of 64, for 750 steps
    assert control.num_epochs == 94
    assert control.target.weights == (PRETRAINED if name == "self_training_pretrained" else "")
    assert control.data == FULL.data
    assert not control.needs_teacher


def test_pairs_share_scratch_by_target_and_the_probe_by_foundation() -> None:
    other = FULL.with_values({"foundation.name": "glyph_cnn", "prompt.size_px": 2})
    assert control_of("scratch", FULL) == control_of("scratch", other)
    faster = FULL.replace(distill__lr=0.02)
    assert control_of("scratch", FULL) == control_of("scratch", faster, TASK, 1500)
    smaller = FULL.with_values({"target.name": "resnet10t", "distill.num_stages": 1})
    assert control_of("linear_probe", FULL) == control_of("linear_probe", smaller, TASK, 1500)
    assert control_of("frozen_target", FULL) == control_of("frozen_target", other, TASK, 800)
    assert control_of("majority", FULL) == control_of("majority", smaller, TASK, 800)


def test_plain_kd_sees_the_same_images() -> None:
    control = control_of("plain_kd", FULL)
    assert control.data == FULL.data
    assert (control.mapping.kind, control.loss.kind, control.temperature.start) == ("linear", "kl", 4.0)
    weights = control.distill.alignment_weight, control.distill.logits_weight, control.distill.labels_weight
    assert weights == (0.0, 0.9, 0.1)


def test_settings_of_a_control_take_effect() -> None:
    plain = PlainKD(PlainKD.Config(temperature=2.0, logits_weight=0.5)).configure(FULL, TASK, 1500)
    assert (plain.temperature.start, plain.distill.logits_weight) == (2.0, 0.5)
    sure = SelfTrainingControl(SelfTrainingControl.Config(threshold=0.9)).configure(FULL, TASK, 1500)
    assert sure.pseudo_labels.threshold == 0.9
    with pytest.raises(ValidationError):
        PlainKD.Config(temperature=0.0)


@pytest.mark.parametrize(
    ("name", "unlabeled", "weights", "has_pretrained", "problems"),
    [
        ("scratch", False, "", False, 0),
        ("self_training", True, "", False, 0),
        ("self_training", False, "", False, 1),
        ("fine_tune", False, "", True, 0),
        ("fine_tune", False, "own.pth", False, 0),
        ("fine_tune", False, "", False, 1),
        ("frozen_target", False, "", True, 0),
        ("frozen_target", False, "", False, 1),
        ("self_training_pretrained", True, "own.pth", False, 0),
        ("self_training_pretrained", False, "", False, 2),
        ("majority", False, "", False, 0),
    ],
)
def test_check_names_the_control_that_cannot_run(
    name: str, unlabeled: bool, weights: str, has_pretrained: bool, problems: int
) -> None:
    targets = (TargetConfig(name="lcnet_035", weights=weights),) * 2
    names = frozenset({"lcnet_035"} if has_pretrained else ())
    found = CONTROLS[name]().check(ControlFacts(unlabeled, targets, names))
    assert len(found) == problems
    assert all(f"'{name}'" in problem for problem in found)


def test_only_controls_from_pretrained_weights_need_other_weights_of_a_target() -> None:
    target = TargetConfig(name="lcnet_035")
    versions = {name: CONTROLS[name]().target_versions(target) for name in CONTROLS}
    for name in FROM_PRETRAINED:
        assert versions.pop(name) == (TargetConfig(name="lcnet_035", weights=PRETRAINED),)
    assert set(versions.values()) == {()}
