"""Six components of a user: each is one class and one dict entry."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.data.task import Task
from tdmr_ray.method.alignments import ALIGNMENTS, Alignment, AlignmentConfig
from tdmr_ray.method.component import FoundationShape, ParameterGroup, TaskFacts
from tdmr_ray.method.losses import LOSSES, LogitLoss, LogitLossConfig, Temperature
from tdmr_ray.method.mappings import MAPPINGS, Mapping, MappingConfig, Refit
from tdmr_ray.method.prompts import PROMPTS, Prompt, PromptConfig
from tdmr_ray.method.resize import resize
from tdmr_ray.method.schedules import SCHEDULES, Moment, Schedule, ScheduleConfig
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS, Control, ControlConfig
from tdmr_ray.training.controls.scratch import train_from_labels


class TintPrompt(Prompt):
    """One learned colour over the whole image: out = clamp(resize(x) + strength * tanh(colour), 0, 1)."""

    class Config(PromptConfig):
        """Hyperparameters of a tint."""

        kind: Literal["tint"] = "tint"
        strength: float = Field(default=0.1, gt=0, le=1)

    def __init__(self, config: Config, foundation: FoundationShape) -> None:
        super().__init__(config, foundation)
        self.strength = config.strength
        self.colour = nn.Parameter(torch.zeros(3))

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        tint = self.strength * torch.tanh(self.colour)[:, None, None]
        return (resize(images, self.image_px) + tint).clamp(0, 1)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the colour."""
        return [ParameterGroup([self.colour], lr=0.1)]


class NearestMeanMapping(Mapping):
    """Negative squared distance of features to the class means; nothing is trained."""

    refits = Refit(each_epoch=True)
    means: Tensor

    class Config(MappingConfig):
        """Hyperparameters of a nearest-mean mapping: none."""

        kind: Literal["nearest_mean"] = "nearest_mean"

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.register_buffer("means", torch.zeros(task.num_classes, foundation.feature_dim))

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features [B, d] and task logits [B, C]."""
        return features, -torch.cdist(features, self.means).square() / features.shape[1]

    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Take the mean of each class."""
        self.means = torch.stack([features[labels == index].mean(dim=0) for index in range(len(self.means))])


class AbsoluteLoss(LogitLoss):
    """Mean absolute difference of probabilities at a temperature."""

    class Config(LogitLossConfig):
        """Hyperparameters of the absolute loss: none."""

        kind: Literal["absolute"] = "absolute"

    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Compare probabilities [B, C]."""
        target, teacher = (logits / temperature for logits in (target_logits, teacher_logits.detach()))
        return (target.softmax(dim=1) - teacher.softmax(dim=1)).abs().sum(dim=1).mean()


class NormAlignment(Alignment):
    """Squared difference of the logarithms of feature norms."""

    class Config(AlignmentConfig):
        """Hyperparameters of the norm alignment: none."""

        kind: Literal["norm"] = "norm"

    def distance(self, projected: Tensor, embedding: Tensor) -> Tensor:
        """Compare norms [B]."""
        return (projected.norm(dim=1).log1p() - embedding.detach().norm(dim=1).log1p()).square().mean()


class HalvingSchedule(Schedule):
    """T = start in the first half of the distillation, start / 2 in the second."""

    class Config(ScheduleConfig):
        """Hyperparameters of a halving schedule."""

        schedule: Literal["halving"] = "halving"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.start = config.start

    def forward(self, moment: Moment) -> float:
        """Return the temperature."""
        return self.start if moment.progress < 0.5 else self.start / 2


class ShortScratch(Control):
    """The target from random weights with labels alone, for one epoch."""

    class Config(ControlConfig):
        """Settings of a short scratch: none."""

        kind: Literal["short_scratch"] = "short_scratch"

    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial."""
        return train_from_labels(finalist, task, steps=1).replace(distill__epochs=1)


PROMPTS["tint"] = TintPrompt
MAPPINGS["nearest_mean"] = NearestMeanMapping
LOSSES["absolute"] = AbsoluteLoss
ALIGNMENTS["norm"] = NormAlignment
SCHEDULES["halving"] = HalvingSchedule
CONTROLS["short_scratch"] = ShortScratch
