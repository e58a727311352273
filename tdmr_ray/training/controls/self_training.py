"""Self-training: scratch, and then again with pseudo-labels for the images without labels."""

from typing import Literal

from pydantic import Field

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig, ControlFacts
from tdmr_ray.training.controls.scratch import train_from_labels
from tdmr_ray.training.sections import PseudoLabelsConfig
from tdmr_ray.training.steps import with_steps


class SelfTrainingConfig(ControlConfig):
    """Settings of every kind of self-training."""

    threshold: float = Field(default=0.8, ge=0, le=1)
    """Minimum probability of a pseudo-label."""


class SelfTrainingControl(Control):
    """Scratch, then a second training with the first one's pseudo-labels; each gets half of the steps.

    Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
    """

    class Config(SelfTrainingConfig):
        """Settings of self-training."""

        kind: Literal["self_training"] = "self_training"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        assert isinstance(self.config, self.Config), "built from its own settings"
        return train_twice(finalist, task, steps, self.config)

    def check(self, facts: ControlFacts) -> list[str]:
        """Require images without labels."""
        return check_unlabeled(self.config.kind, facts)


def train_twice(finalist: TrialConfig, task: Task, steps: int, settings: SelfTrainingConfig) -> TrialConfig:
    """Return a trial that self-trains the finalist's target from random weights with the finalist's images."""
    start = train_from_labels(finalist, task, steps).model_copy(
        update={
            "method": "self_training",
            "data": finalist.data,
            "pseudo_labels": PseudoLabelsConfig(threshold=settings.threshold),
        }
    )
    return with_steps(start, task, steps)


def check_unlabeled(kind: str, facts: ControlFacts) -> list[str]:
    """Return the problem of a kind of self-training in a search where every image has a label."""
    if facts.unlabeled:
        return []
    return [f"'{kind}' needs images without labels; set data.unlabeled, or leave it out"]
