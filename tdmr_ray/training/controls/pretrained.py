"""What controls have in common that start from a target's pretrained weights."""

from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.training.config import TargetConfig
from tdmr_ray.training.controls.control import Control, ControlFacts


class PretrainedControl(Control):
    """A control that starts from the target's own initial weights, or from timm's where it has none."""

    def check(self, facts: ControlFacts) -> list[str]:
        """Require weights of every target."""
        lacking = [target.name for target in facts.targets if not target.weights]
        return [
            f"'{self.config.kind}' needs weights of '{name}', and timm has none; leave the control out"
            for name in dict.fromkeys(lacking)
            if name not in facts.has_pretrained
        ]

    def target_versions(self, target: TargetConfig) -> tuple[TargetConfig, ...]:
        """Return the target with the weights that the control starts from."""
        return (pretrained(target),)


def pretrained(target: TargetConfig) -> TargetConfig:
    """Return a target with its own initial weights, or with timm's where it has none."""
    return target.model_copy(update={"weights": target.weights or PRETRAINED})
