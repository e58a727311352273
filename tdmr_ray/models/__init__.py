"""Foundations and targets: timm behind `load_foundation` and `load_target`."""

from tdmr_ray.models.foundation import Foundation, load_foundation
from tdmr_ray.models.names import check_foundation, check_target
from tdmr_ray.models.spec import InputSpec
from tdmr_ray.models.target import (
    WEIGHTS_FILE,
    DamagedWeights,
    Target,
    TargetOutput,
    load_target,
    load_weights,
    save_target,
)

__all__ = [
    "WEIGHTS_FILE",
    "DamagedWeights",
    "Foundation",
    "InputSpec",
    "Target",
    "TargetOutput",
    "check_foundation",
    "check_target",
    "load_foundation",
    "load_target",
    "load_weights",
    "save_target",
]
