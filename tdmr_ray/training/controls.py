"""Controls: what a trial must beat, run with the same data and code."""

from collections.abc import Callable

from tdmr_ray.data.task import Task
from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import (
    DistillConfig,
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


def scratch(config: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
    """The target from random weights with labels alone, for at least `min_steps` steps.

    No foundation and nothing that was searched takes part, so that all pairs with the same target share it.
    """
    blank = TrialConfig()
    epochs = max(config.distill.epochs, _epochs_for(min_steps, task.num_labeled))
    return blank.model_copy(
        update={
            "method": "scratch",
            "data": config.data.model_copy(update={"unlabeled": False}),
            "target": config.target.model_copy(update={"weights": ""}),
            "views": config.views,
            "precision": config.precision,
            "distill": blank.distill.model_copy(update={"epochs": epochs}),
            "seed": config.seed,
        }
    )


def self_training(config: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
    """As `scratch`, and then again with the answers it gave for the images without labels; each for `min_steps`."""
    start = scratch(config, task, min_steps)
    epochs = max(config.distill.epochs, _epochs_for(min_steps, len(task.train)))
    return start.model_copy(
        update={
            "method": "self_training",
            "data": config.data,
            "pseudo_labels": SURE,
            "distill": start.distill.model_copy(update={"epochs": epochs}),
        }
    )


def fine_tune(config: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
    """As `scratch`, but from the weights that the target starts from, or else from timm's for it."""
    start = scratch(config, task, min_steps)
    weights = config.target.weights or PRETRAINED
    return start.model_copy(update={"target": config.target.model_copy(update={"weights": weights})})


def linear_probe(config: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
    """The foundation with a linear layer, no prompt, nothing distilled: what is too big to ship."""
    probe = _plain_teacher(config)
    return probe.model_copy(
        update={"method": "linear_probe", "target": TargetConfig(), "distill": TrialConfig().distill}
    )


def plain_kd(config: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
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


def _epochs_for(steps: int, num_images: int) -> int:
    """The least number of epochs with at least so many steps."""
    return -(-steps // batches_per_epoch(num_images, DistillConfig().batch_size))


def _plain_teacher(config: TrialConfig) -> TrialConfig:
    return config.model_copy(
        update={
            "method": "tdmr",
            "prompt": PromptConfig(),
            "mapping": MappingConfig(kind="linear"),
            "pseudo_labels": PseudoLabelsConfig(),
            "outputs": config.outputs.model_copy(update={"view_averaging": 0.0}),
            "temperature": TemperatureConfig(),
        }
    )


CONTROLS: dict[str, Callable[[TrialConfig, Task, int], TrialConfig]] = {
    "scratch": scratch,
    "self_training": self_training,
    "linear_probe": linear_probe,
    "plain_kd": plain_kd,
    "fine_tune": fine_tune,
}
"""From a finalist's configuration, its images and the least number of steps to the control's configuration."""
