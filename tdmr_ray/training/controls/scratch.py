"""Scratch: the target from random weights with labels alone."""

from typing import Literal

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import DistillConfig, TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig, epochs_for


class Scratch(Control):
    """The target from random weights with labels alone, for at least `min_steps` steps.

    No foundation and nothing that was searched takes part, so that all pairs with the same target share it.
    """

    class Config(ControlConfig):
        """Settings of scratch: none."""

        kind: Literal["scratch"] = "scratch"

    def configure(self, finalist: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        return train_from_labels(finalist, task, min_steps)


def train_from_labels(finalist: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
    """Return a trial that trains the finalist's target from random weights with labels alone."""
    settings = DistillConfig()
    epochs = max(finalist.distill.epochs, epochs_for(min_steps, task.num_labeled, settings.batch_size))
    return TrialConfig(
        method="scratch",
        data=finalist.data.model_copy(update={"unlabeled": False}),
        target=finalist.target.model_copy(update={"weights": ""}),
        views=finalist.views,
        precision=finalist.precision,
        distill=settings.model_copy(update={"epochs": epochs}),
        seed=finalist.seed,
    )
