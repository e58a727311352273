"""Fine-tuning: the target from pretrained weights with labels alone."""

from typing import Literal

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import ControlConfig
from tdmr_ray.training.controls.pretrained import PretrainedControl, from_pretrained
from tdmr_ray.training.controls.scratch import train_from_labels


class FineTune(PretrainedControl):
    """Scratch, but from the target's own initial weights, or from timm's where it has none, at smaller rates."""

    class Config(ControlConfig):
        """Settings of fine-tuning: none."""

        kind: Literal["fine_tune"] = "fine_tune"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        start = train_from_labels(finalist, task, steps)
        return from_pretrained(start.model_copy(update={"target": finalist.target}))
