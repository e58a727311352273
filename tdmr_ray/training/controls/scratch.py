"""Scratch: the target from random weights with labels alone."""

from typing import Literal

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig
from tdmr_ray.training.sections import DistillConfig
from tdmr_ray.training.steps import with_steps


class Scratch(Control):
    """The target from random weights with labels alone.

    No foundation and nothing that was searched takes part, so that all pairs with the same target share it.
    """

    class Config(ControlConfig):
        """Settings of scratch: none."""

        kind: Literal["scratch"] = "scratch"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        return train_from_labels(finalist, task, steps)


def train_from_labels(finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
    """Return a trial that trains the finalist's target from random weights with labels alone."""
    conditions = finalist.distill.model_dump(include={"patience", "class_weights"})
    config = TrialConfig(
        method="scratch",
        data=finalist.data.model_copy(update={"unlabeled": False}),
        target=finalist.target.model_copy(update={"weights": ""}),
        views=finalist.views,
        precision=finalist.precision,
        distill=DistillConfig(**conditions),
        objective=finalist.objective,
        seed=finalist.seed,
    )
    return with_steps(config, task, steps)
