"""Everything that a distillation trains: the target, and modules that only its training needs."""

from functools import partial

import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Task
from tdmr_ray.method.alignments import ALIGNMENTS, Alignment
from tdmr_ray.method.component import ParameterGroup
from tdmr_ray.method.schedules import SCHEDULES, Moment, Schedule
from tdmr_ray.models import Target, TargetOutput, load_target
from tdmr_ray.training.config import Precision, TrialConfig
from tdmr_ray.training.device import autocast
from tdmr_ray.training.micro_batches import run_in_micro_batches
from tdmr_ray.training.sections import DistillConfig


def run_target(target: Target, images: Tensor, precision: Precision, *, detach_head: bool = False) -> TargetOutput:
    """Run a target in a precision on images in 0..1; features and logits are fp32."""
    with autocast(precision, images.device):
        features, logits = target(images, detach_head)
    return TargetOutput(features.float(), logits.float())


class Learner(nn.Module):
    """A target with its feature alignment and its temperature schedule.

    Args:
        target: The network to be trained.
        alignment: Compares its features with the teacher's embedding; None without a teacher.
        schedule: Gives the temperature.
        precision: Precision of the target's forward pass.
    """

    def __init__(self, target: Target, alignment: Alignment | None, schedule: Schedule, precision: Precision) -> None:
        super().__init__()
        self.target, self.alignment, self.schedule, self.precision = target, alignment, schedule, precision

    def forward(
        self, images: Tensor, detach_head: bool, moment: Moment, num_micro_batches: int
    ) -> tuple[Tensor, Tensor, float | Tensor]:
        """Return features prepared for the alignment [B, d], logits [B, C], and the temperature."""
        run = partial(run_target, self.target, precision=self.precision, detach_head=detach_head)
        features, logits = run_in_micro_batches(run, images, num_micro_batches)
        temperature = self.schedule(moment)
        return self.alignment.project(features) if self.alignment else features, logits, temperature

    def parameter_groups(self, settings: DistillConfig) -> list[ParameterGroup]:
        """Return the trained parameters: target and alignment together, then those of the schedule."""
        networks = [*self.target.parameters(), *(self.alignment.parameters() if self.alignment else ())]
        own = ParameterGroup(networks, settings.lr, settings.weight_decay)
        return [own, *self.schedule.parameter_groups(settings.lr)]


def build_learner(config: TrialConfig, task: Task, embedding_dim: int | None) -> Learner:
    """Build target, alignment and schedule; their initial weights follow from the seed.

    Args:
        config: The trial.
        task: Its images.
        embedding_dim: Width of the teacher's embedding; None without a teacher.
    """
    torch.manual_seed(config.seed)
    target = build_target(config, task)
    alignment: Alignment | None = None
    if embedding_dim is not None:
        alignment = ALIGNMENTS[config.alignment.kind](config.alignment, target.feature_dim, embedding_dim)
    schedule = SCHEDULES[config.temperature.schedule](config.temperature)
    return Learner(target, alignment, schedule, config.precision)


def build_target(config: TrialConfig, task: Task) -> Target:
    """Build the target of a trial with its initial weights; random ones come from torch's global generator."""
    return load_target(
        config.target.name,
        num_classes=task.num_classes,
        image_px=task.target_px(config.target.input_px),
        weights=config.target.weights,
    )


def keeps_batch_norm(config: TrialConfig) -> bool:
    """Whether the statistics of batch norm stay as the target's initial weights have them.

    The batches of a few hundred augmented images have other statistics than the millions which the weights know;
    following them costs more than they teach (docs/decisions.md).
    """
    asked = config.distill.batch_norm
    return asked == "frozen" or (asked == "auto" and bool(config.target.weights))


def freeze_batch_norm(target: Target) -> None:
    """Keep the statistics of batch norm as they are until the next `train()`; its weights still learn."""
    for layer in target.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
