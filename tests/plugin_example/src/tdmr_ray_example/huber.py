"""The Huber loss of probabilities."""

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import huber_loss

from tdmr_ray.method.losses import LogitLoss, LogitLossConfig, Temperature


class HuberLoss(LogitLoss):
    """loss = huber(softmax(target / T), softmax(teacher / T)) * C, the mean over images."""

    class Config(LogitLossConfig):
        """Hyperparameters of the Huber loss."""

        kind: Literal["huber"] = "huber"
        delta: float = Field(default=0.5, gt=0)
        """Difference from which the loss is linear."""

    config: Config

    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Compare probabilities [B, C]."""
        target, teacher = ((each / temperature).softmax(dim=1) for each in (target_logits, teacher_logits.detach()))
        return huber_loss(target, teacher, delta=self.config.delta) * target.shape[1]
