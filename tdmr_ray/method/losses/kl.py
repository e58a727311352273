"""Softened KL divergence."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from tdmr_ray.method.losses.logit_loss import LogitLoss, LogitLossConfig, Temperature, check_logits


class KLLoss(LogitLoss):
    """Softened KL divergence from teacher to target; see `kl_loss`."""

    class Config(LogitLossConfig):
        """Hyperparameters of the KL loss."""

        kind: Literal["kl"] = "kl"

    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Return `kl_loss`."""
        return kl_loss(target_logits, teacher_logits, temperature=temperature)


def kl_loss(target_logits: Tensor, teacher_logits: Tensor, *, temperature: Temperature) -> Tensor:
    """Softened KL divergence from teacher to target, averaged over the batch, in nats.

    KL(softmax(t / T) || softmax(s / T)) * T**2. Zero when both agree. Without T**2 gradients would shrink as 1 / T**2;
    with it the loss tends to half of `mse_loss` as T grows.

    Args:
        target_logits: Before softmax, [B, C] over the task classes.
        teacher_logits: Same shape; a constant, no gradient flows back.
        temperature: T > 0; 1 leaves the logits as they are.

    Raises:
        ValueError: If the shapes differ or T is not positive.

    Source: Hinton et al. 2015, arXiv 1503.02531, section 2.
    """
    check_logits(target_logits, teacher_logits, temperature)
    target = log_softmax(target_logits / temperature, dim=1)
    teacher = log_softmax(teacher_logits.detach() / temperature, dim=1)
    return kl_div(target, teacher, reduction="batchmean", log_target=True) * temperature**2
