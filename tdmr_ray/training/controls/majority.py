"""Majority: always the largest class."""

from typing import ClassVar, Literal

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig
from tdmr_ray.training.controls.scratch import train_from_labels
from tdmr_ray.training.sections import DistillConfig, TargetConfig


class MajorityControl(Control):
    """The largest class among the labelled images, whatever the image shows. A model below it is not worth shipping."""

    has_target: ClassVar[bool] = False
    ships: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    class Config(ControlConfig):
        """Settings of the largest class: none."""

        kind: Literal["majority"] = "majority"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        start = train_from_labels(finalist, task, steps)
        return start.model_copy(update={"method": "majority", "target": TargetConfig(), "distill": DistillConfig()})
