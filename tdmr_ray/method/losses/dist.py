"""DIST: one minus the correlation of softened probabilities."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import normalize

from tdmr_ray.method.losses.logit_loss import LogitLoss, LogitLossConfig, Temperature, check_logits


class DISTLoss(LogitLoss):
    """Correlation of softened probabilities over classes and over the batch; see `dist_loss`."""

    class Config(LogitLossConfig):
        """Hyperparameters of the DIST loss."""

        kind: Literal["dist"] = "dist"

    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Return `dist_loss`."""
        return dist_loss(target_logits, teacher_logits, temperature=temperature)


def dist_loss(target_logits: Tensor, teacher_logits: Tensor, *, temperature: Temperature) -> Tensor:
    """One minus the correlation of softened probabilities, over classes and over the batch.

    ((1 - mean_b r(s_b, t_b)) + (1 - mean_c r(s_c, t_c))) * T**2 with Pearson's r of rows and of columns. Zero when
    both agree.

    Args:
        target_logits: [B, C].
        teacher_logits: Same shape; a constant.
        temperature: T > 0.

    Raises:
        ValueError: If the shapes differ or T is not positive.

    Source: Huang et al. 2022, arXiv 2205.10536; T**2 as in the official code.
    """
    check_logits(target_logits, teacher_logits, temperature)
    target = (target_logits / temperature).softmax(dim=1)
    teacher = (teacher_logits.detach() / temperature).softmax(dim=1)
    over_classes = 1 - _pearson(target, teacher).mean()
    over_batch = 1 - _pearson(target.T, teacher.T).mean()
    return (over_classes + over_batch) * temperature**2


def _pearson(rows: Tensor, others: Tensor) -> Tensor:
    """Pearson's correlation of matching rows, [B]; 0 where a row is constant."""
    rows = rows - rows.mean(dim=1, keepdim=True)
    others = others - others.mean(dim=1, keepdim=True)
    return (normalize(rows, dim=1, eps=1e-8) * normalize(others, dim=1, eps=1e-8)).sum(dim=1)
