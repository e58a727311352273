"""Everything that a distillation trains: the target, and modules that only its training needs."""

from functools import partial

from torch import Tensor, nn

from tdmr_ray.method.alignments import Alignment
from tdmr_ray.method.component import ParameterGroup
from tdmr_ray.method.schedules import Moment, Schedule
from tdmr_ray.models import Target, TargetOutput
from tdmr_ray.training.config import DistillConfig, Precision
from tdmr_ray.training.device import autocast
from tdmr_ray.training.micro_batches import run_in_micro_batches


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
