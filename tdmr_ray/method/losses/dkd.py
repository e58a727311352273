"""Decoupled KL divergence: the top class against the rest, and the rest among themselves."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax, one_hot

from tdmr_ray.method.component import FoundationFacts, TaskFacts
from tdmr_ray.method.losses.logit_loss import LogitLoss, LogitLossConfig, Temperature, check_logits


class DKDLoss(LogitLoss):
    """Decoupled KL divergence that warms up; see `dkd_loss`.

    The loss at progress p of the distillation counts min(1, p / warmup) times. The official code takes
    min(1, epoch / 20) of 240 epochs, counted from 1, which is our value at the end of each epoch.

    Source: Zhao et al. 2022, arXiv 2203.08679; alpha, beta and the warm-up are those of its code for CIFAR-100, where
    the temperature is 4 and the weight of the labels 1. Standardised logits (Sun et al. 2024, arXiv 2403.01427) take
    9 times alpha there as here, and 81 as beta instead of our 72.
    """

    class Config(LogitLossConfig):
        """Hyperparameters of the decoupled KL loss."""

        kind: Literal["dkd"] = "dkd"
        alpha: float = Field(default=1.0, ge=0)
        """Weight of the top class against the rest."""
        beta: float = Field(default=8.0, ge=0)
        """Weight of the other classes among themselves."""
        warmup: float = Field(default=1 / 12, ge=0, le=1)
        """Share of the distillation over which the loss rises from 0 to its full weight; 0 starts with all of it."""

        def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
            """Require other classes to compare."""
            problems = super().check(foundation, task)
            if task.num_classes < 3:
                problems.append(
                    f"kind: 'dkd' needs at least 3 task classes, got {task.num_classes}; use kl, mse or dist"
                )
            return problems

    def weight(self) -> float:
        """Return the share of the loss that counts at its moment."""
        assert isinstance(self.config, DKDLoss.Config), "built from its own configuration"
        warmup = self.config.warmup
        return min(1.0, self.moment.progress / warmup) if warmup else 1.0

    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Return `dkd_loss`."""
        assert isinstance(self.config, DKDLoss.Config), "built from its own configuration"
        alpha, beta = self.config.alpha, self.config.beta
        return dkd_loss(target_logits, teacher_logits, temperature=temperature, alpha=alpha, beta=beta)


def dkd_loss(
    target_logits: Tensor, teacher_logits: Tensor, *, temperature: Temperature, alpha: float = 1.0, beta: float = 8.0
) -> Tensor:
    """Decoupled KL: the teacher's top class against the rest, and the rest among themselves.

    (alpha * KL(binary) + beta * KL(others)) * T**2. Zero when both agree. The paper takes the true class; ours is the
    teacher's top class, so that images without labels can take part.

    Args:
        target_logits: [B, C], C >= 3.
        teacher_logits: Same shape; a constant.
        temperature: T > 0.
        alpha: Weight of the binary term.
        beta: Weight of the term over the other classes.

    Raises:
        ValueError: If the shapes differ, T is not positive or there are two classes (no others to compare).

    Source: Zhao et al. 2022, arXiv 2203.08679.
    """
    check_logits(target_logits, teacher_logits, temperature)
    num_classes = target_logits.shape[1]
    if num_classes < 3:
        raise ValueError(f"dkd needs at least 3 task classes, but got {num_classes}")
    teacher_logits = teacher_logits.detach()
    top = one_hot(teacher_logits.argmax(dim=1), num_classes).bool()
    target = log_softmax(target_logits / temperature, dim=1)
    teacher = log_softmax(teacher_logits / temperature, dim=1)
    binary = kl_div(_top_and_rest(target, top), _top_and_rest(teacher, top), reduction="batchmean", log_target=True)
    others = kl_div(_among_rest(target, top), _among_rest(teacher, top), reduction="batchmean", log_target=True)
    return (alpha * binary + beta * others) * temperature**2


def _top_and_rest(log_probabilities: Tensor, top: Tensor) -> Tensor:
    """Log probabilities of the marked class and of all others together, [B, 2]."""
    rest = log_probabilities.masked_fill(top, -torch.inf).logsumexp(dim=1)
    return torch.stack([log_probabilities[top], rest], dim=1)


def _among_rest(log_probabilities: Tensor, top: Tensor) -> Tensor:
    """Log probabilities of the unmarked classes among themselves, [B, C - 1]."""
    rest = log_probabilities[~top].view(len(top), -1)
    return log_softmax(rest, dim=1)
