"""Losses of distillation. One logit loss a file, one entry below."""

from tdmr_ray.method.component import component_problem
from tdmr_ray.method.losses.dist import DISTLoss
from tdmr_ray.method.losses.dkd import DKDLoss
from tdmr_ray.method.losses.kl import KLLoss
from tdmr_ray.method.losses.label_loss import balanced_weights, label_loss
from tdmr_ray.method.losses.logit_loss import LogitLoss, LogitLossConfig, Temperature
from tdmr_ray.method.losses.mse import MSELoss
from tdmr_ray.plugins import Registry

LOSSES: Registry[type[LogitLoss]] = Registry(
    "tdmr_ray.losses",
    {"kl": KLLoss, "mse": MSELoss, "dist": DISTLoss, "dkd": DKDLoss},
    component_problem(LogitLoss),
)

__all__ = [
    "LOSSES",
    "DISTLoss",
    "DKDLoss",
    "KLLoss",
    "LogitLoss",
    "LogitLossConfig",
    "MSELoss",
    "Temperature",
    "balanced_weights",
    "label_loss",
]
