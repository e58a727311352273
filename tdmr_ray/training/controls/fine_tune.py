"""Fine-tuning: the target from pretrained weights with labels alone."""

from typing import Literal

from tdmr_ray.data.task import Task
from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.training.config import TargetConfig, TrialConfig
from tdmr_ray.training.controls.control import Control, ControlConfig, ControlFacts
from tdmr_ray.training.controls.scratch import train_from_labels


class FineTune(Control):
    """Scratch, but from the target's own initial weights, or from timm's where it has none."""

    class Config(ControlConfig):
        """Settings of fine-tuning: none."""

        kind: Literal["fine_tune"] = "fine_tune"

    def configure(self, finalist: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
        """Return the control's trial for a finalist."""
        start = train_from_labels(finalist, task, min_steps)
        return start.model_copy(update={"target": _pretrained(finalist.target)})

    def check(self, facts: ControlFacts) -> list[str]:
        """Require weights of every target."""
        lacking = [target.name for target in facts.targets if not target.weights]
        return [
            f"'fine_tune' needs weights of '{name}', and timm has none; leave the control out"
            for name in dict.fromkeys(lacking)
            if name not in facts.has_pretrained
        ]

    def target_versions(self, target: TargetConfig) -> tuple[TargetConfig, ...]:
        """Return the target with the weights that fine-tuning starts from."""
        return (_pretrained(target),)


def _pretrained(target: TargetConfig) -> TargetConfig:
    return target.model_copy(update={"weights": target.weights or PRETRAINED})
