"""Mean squared difference of centred logits."""

from typing import Literal

from torch import Tensor

from tdmr_ray.method.losses.logit_loss import LogitLoss, LogitLossConfig, Temperature, check_logits


class MSELoss(LogitLoss):
    """Mean squared difference of centred logits; see `mse_loss`."""

    class Config(LogitLossConfig):
        """Hyperparameters of the MSE loss."""

        kind: Literal["mse"] = "mse"

    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Return `mse_loss`."""
        return mse_loss(target_logits, teacher_logits, temperature=temperature)


def mse_loss(target_logits: Tensor, teacher_logits: Tensor, *, temperature: Temperature) -> Tensor:
    """Mean squared difference of centred logits over batch and classes.

    mean(((s - mean(s)) / T - (t - mean(t)) / T)**2) * T**2. Zero when both give the same probabilities. T cancels, so
    this is the control for temperature schedules. `kl_loss` tends to half of this loss as T grows.

    Args:
        target_logits: [B, C].
        teacher_logits: Same shape; a constant.
        temperature: T > 0; has no effect.

    Raises:
        ValueError: If the shapes differ or T is not positive.

    Source: Ba and Caruana 2014, arXiv 1312.6184, who sum over classes, halve and do not centre; the limit is that of
    Hinton et al. 2015, arXiv 1503.02531, section 2.1.
    """
    check_logits(target_logits, teacher_logits, temperature)
    teacher = teacher_logits.detach()
    difference = (target_logits - teacher) / temperature
    return (difference - difference.mean(dim=1, keepdim=True)).square().mean() * temperature**2
