"""Plain distillation: a linear probe as teacher, one temperature, one stage."""

from typing import ClassVar, Literal

from pydantic import Field

from tdmr_ray.data.task import Task
from tdmr_ray.method.losses import KLLoss
from tdmr_ray.method.schedules import ConstantSchedule
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig
from tdmr_ray.training.controls.linear_probe import with_probed_teacher
from tdmr_ray.training.steps import with_steps


class PlainKD(Control):
    """Distillation from a linear probe at one temperature in one stage, with the finalist's images.

    T = 4 and weights 0.9 and 0.1 are the defaults of common code bases (RepDistiller, mdistiller).

    Source: Hinton et al. 2015, arXiv 1503.02531.
    """

    has_foundation: ClassVar[bool] = True

    class Config(ControlConfig):
        """Settings of plain distillation."""

        kind: Literal["plain_kd"] = "plain_kd"
        temperature: float = Field(default=4.0, gt=0)
        """The temperature."""
        logits_weight: float = Field(default=0.9, ge=0)
        """Weight of the KL divergence."""
        labels_weight: float = Field(default=0.1, ge=0)
        """Weight of the cross entropy with labels."""

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        assert isinstance(self.config, self.Config), "built from its own settings"
        distill = finalist.distill.model_copy(
            update={
                "num_stages": 1,
                "learn_first": "teacher",
                "alignment_weight": 0.0,
                "logits_weight": self.config.logits_weight,
                "labels_weight": self.config.labels_weight,
            }
        )
        plain = with_probed_teacher(finalist, ConstantSchedule.Config(start=self.config.temperature))
        return with_steps(plain.model_copy(update={"loss": KLLoss.Config(), "distill": distill}), task, steps)
