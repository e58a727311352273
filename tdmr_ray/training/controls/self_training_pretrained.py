"""Self-training from pretrained weights: fine-tuning, and then again with pseudo-labels."""

from typing import Literal

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import ControlFacts
from tdmr_ray.training.controls.pretrained import PretrainedControl, from_pretrained
from tdmr_ray.training.controls.self_training import SelfTrainingConfig, check_unlabeled, train_twice


class SelfTrainingPretrained(PretrainedControl):
    """Self-training whose two trainings both start from the weights and at the rate that fine-tuning starts from.

    Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
    """

    class Config(SelfTrainingConfig):
        """Settings of self-training from pretrained weights."""

        kind: Literal["self_training_pretrained"] = "self_training_pretrained"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        assert isinstance(self.config, self.Config), "built from its own settings"
        start = train_twice(finalist, task, steps, self.config)
        return from_pretrained(start.model_copy(update={"target": finalist.target}))

    def check(self, facts: ControlFacts) -> list[str]:
        """Require images without labels and weights of every target."""
        return [*check_unlabeled(self.config.kind, facts), *super().check(facts)]
