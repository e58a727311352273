"""Controls: rivals that a finalist must beat. One class a file, one entry below."""

from tdmr_ray.training.controls.control import Control, ControlConfig, ControlFacts
from tdmr_ray.training.controls.fine_tune import FineTune
from tdmr_ray.training.controls.linear_probe import LinearProbe
from tdmr_ray.training.controls.plain_kd import PlainKD
from tdmr_ray.training.controls.scratch import Scratch
from tdmr_ray.training.controls.self_training import SelfTrainingControl

CONTROLS: dict[str, type[Control]] = {
    "scratch": Scratch,
    "self_training": SelfTrainingControl,
    "linear_probe": LinearProbe,
    "plain_kd": PlainKD,
    "fine_tune": FineTune,
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
    "LinearProbe",
    "PlainKD",
    "Scratch",
    "SelfTrainingControl",
    "build_control",
]
