"""What controls have in common that start from a target's pretrained weights."""

from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.control import Control, ControlFacts
from tdmr_ray.training.sections import PRETRAINED_LR, TargetConfig


class PretrainedControl(Control):
    """A control that starts from the target's own initial weights, or from timm's where it has none.

    A rate that suits random weights destroys pretrained ones in the first epochs. The controls that train therefore
    start at 0.0001, and the other rates that they try lie around it, from 0.000025 to 0.0004. A finalist whose target
    has pretrained weights needs no such rule, since the search chooses its rate.
    """

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


def from_pretrained(config: TrialConfig) -> TrialConfig:
    """Return a trial whose target starts from pretrained weights, with the learning rate that suits them."""
    distill = config.distill.model_copy(update={"lr": PRETRAINED_LR})
    return config.model_copy(update={"target": pretrained(config.target), "distill": distill})


def pretrained(target: TargetConfig) -> TargetConfig:
    """Return a target with its own initial weights, or with timm's where it has none."""
    return target.model_copy(update={"weights": target.weights or PRETRAINED})
