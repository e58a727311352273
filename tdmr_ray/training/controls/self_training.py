"""Self-training: scratch, and then again with pseudo-labels for the images without labels."""

from typing import ClassVar, Literal

from pydantic import Field

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import PseudoLabelsConfig, TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig, ControlFacts, epochs_for
from tdmr_ray.training.controls.scratch import train_from_labels


class SelfTrainingControl(Control):
    """Scratch, then a second training with the first one's pseudo-labels; each for at least `min_steps` steps.

    Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
    """

    num_trainings: ClassVar[int] = 2

    class Config(ControlConfig):
        """Settings of self-training."""

        kind: Literal["self_training"] = "self_training"
        threshold: float = Field(default=0.8, ge=0, le=1)
        """Minimum probability of a pseudo-label."""

    def configure(self, finalist: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        assert isinstance(self.config, self.Config), "built from its own settings"
        start = train_from_labels(finalist, task, min_steps)
        all_images = epochs_for(min_steps, len(task.train), start.distill.batch_size)
        epochs = max(finalist.distill.epochs, all_images)
        return start.model_copy(
            update={
                "method": "self_training",
                "data": finalist.data,
                "pseudo_labels": PseudoLabelsConfig(threshold=self.config.threshold),
                "distill": start.distill.model_copy(update={"epochs": epochs}),
            }
        )

    def check(self, facts: ControlFacts) -> list[str]:
        """Require images without labels."""
        if facts.unlabeled:
            return []
        return ["'self_training' needs images without labels; set data.unlabeled, or leave it out"]
