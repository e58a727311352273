"""Controls: what a trial must beat, run with the same data and code."""

from collections.abc import Callable

from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import (
    FoundationConfig,
    MappingConfig,
    PromptConfig,
    PseudoLabelsConfig,
    TargetConfig,
    TemperatureConfig,
    TrialConfig,
)

PLAIN_TEMPERATURE = TemperatureConfig(schedule="constant", start=4.0)
"""T = 4 is what the common code bases (RepDistiller, mdistiller) take for plain distillation."""

SURE = PseudoLabelsConfig(threshold=0.8)
"""Self-training leaves out what it is not sure of."""


def scratch(config: TrialConfig, num_labeled: int, min_steps: int) -> TrialConfig:
    """The target from random weights with labels alone, for at least `min_steps` steps.

    No foundation and nothing that was searched takes part, so that all pairs with the same target share it.
    """
    blank = TrialConfig()
    per_epoch = batches_per_epoch(num_labeled, blank.distill.batch_size)
    epochs = max(config.distill.epochs, -(-min_steps // per_epoch))
    return blank.model_copy(
        update={
            "method": "scratch",
            "data": config.data.model_copy(update={"unlabeled": False}),
            "target": TargetConfig(name=config.target.name),
            "views": config.views,
            "distill": blank.distill.model_copy(update={"epochs": epochs}),
            "seed": config.seed,
        }
    )


def self_training(config: TrialConfig, num_labeled: int, min_steps: int) -> TrialConfig:
    """As `scratch`, and then again with the answers it gave for the images without labels."""
    start = scratch(config, num_labeled, min_steps)
    return start.model_copy(update={"method": "self_training", "data": config.data, "pseudo_labels": SURE})


def fine_tune(config: TrialConfig, num_labeled: int, min_steps: int) -> TrialConfig:
    """As `scratch`, but from the target's own pretrained weights."""
    start = scratch(config, num_labeled, min_steps)
    return start.model_copy(update={"target": TargetConfig(name=config.target.name, pretrained=True)})


def linear_probe(config: TrialConfig, num_labeled: int, min_steps: int) -> TrialConfig:
    """The foundation with a linear layer, no prompt, nothing distilled: what is too big to ship."""
    probe = _plain_teacher(config)
    return probe.model_copy(
        update={"method": "linear_probe", "target": TargetConfig(), "distill": TrialConfig().distill}
    )


def plain_kd(config: TrialConfig, num_labeled: int, min_steps: int) -> TrialConfig:
    """Distil that linear probe at one temperature in one stage, with the same images and steps."""
    distill = config.distill.model_copy(
        update={
            "num_stages": 1,
            "loss": "kl",
            "standardize": False,
            "alignment_weight": 0.0,
            "logits_weight": 0.9,
            "labels_weight": 0.1,
        }
    )
    return _plain_teacher(config).model_copy(update={"temperature": PLAIN_TEMPERATURE, "distill": distill})


def _plain_teacher(config: TrialConfig) -> TrialConfig:
    return config.model_copy(
        update={
            "method": "tdmr",
            "foundation": FoundationConfig(name=config.foundation.name),
            "prompt": PromptConfig(),
            "mapping": MappingConfig(kind="linear"),
            "pseudo_labels": PseudoLabelsConfig(),
            "signals": config.signals.model_copy(update={"consensus": 0.0}),
            "temperature": TemperatureConfig(),
        }
    )


CONTROLS: dict[str, Callable[[TrialConfig, int, int], TrialConfig]] = {
    "scratch": scratch,
    "self_training": self_training,
    "linear_probe": linear_probe,
    "plain_kd": plain_kd,
    "fine_tune": fine_tune,
}
"""From a finalist's configuration, the number of labelled images and the least number of steps to the control's."""
