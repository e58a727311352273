"""Frozen target: a linear head on the target's own pretrained features."""

from typing import ClassVar, Literal

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import ControlConfig
from tdmr_ray.training.controls.pretrained import PretrainedControl, pretrained
from tdmr_ray.training.controls.scratch import train_from_labels
from tdmr_ray.training.sections import DistillConfig


class FrozenTargetControl(PretrainedControl):
    """The pretrained target with a new linear head, which is what toolkits for phones train.

    Logistic regression and linear discriminant analysis are fitted to the features of labelled images; the best on val
    ships.
    """

    trains: ClassVar[bool] = False

    class Config(ControlConfig):
        """Settings of the frozen target: none."""

        kind: Literal["frozen_target"] = "frozen_target"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        start = train_from_labels(finalist, task, steps)
        settings = DistillConfig(class_weights=finalist.distill.class_weights)
        target = pretrained(finalist.target)
        return start.model_copy(update={"method": "frozen_target", "target": target, "distill": settings})
