"""Controls: rivals that a finalist must beat. One class a file, one entry below."""

from tdmr_ray.training.controls.control import Control, ControlConfig, ControlFacts
from tdmr_ray.training.controls.fine_tune import FineTune
from tdmr_ray.training.controls.frozen_target import FrozenTargetControl
from tdmr_ray.training.controls.linear_probe import LinearProbe
from tdmr_ray.training.controls.majority import MajorityControl
from tdmr_ray.training.controls.plain_kd import PlainKD
from tdmr_ray.training.controls.scratch import Scratch
from tdmr_ray.training.controls.self_training import SelfTrainingControl
from tdmr_ray.training.controls.self_training_pretrained import SelfTrainingPretrained

CONTROLS: dict[str, type[Control]] = {
    "scratch": Scratch,
    "fine_tune": FineTune,
    "self_training": SelfTrainingControl,
    "self_training_pretrained": SelfTrainingPretrained,
    "plain_kd": PlainKD,
    "frozen_target": FrozenTargetControl,
    "linear_probe": LinearProbe,
    "majority": MajorityControl,
}


def build_control(config: ControlConfig) -> Control:
    """Return the control with these settings."""
    return CONTROLS[config.kind](config)


__all__ = [
    "CONTROLS",
    "Control",
    "ControlConfig",
    "ControlFacts",
    "FineTune",
    "FrozenTargetControl",
    "LinearProbe",
    "MajorityControl",
    "PlainKD",
    "Scratch",
    "SelfTrainingControl",
    "SelfTrainingPretrained",
    "build_control",
]
