"""Losses of distillation: pure functions on a batch, each an average in nats or without unit."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, log_softmax, normalize, one_hot

Temperature = float | Tensor
"""A number, or a scalar that is learned."""


def kl_loss(target_logits: Tensor, teacher_logits: Tensor, *, temperature: Temperature) -> Tensor:
    """Softened KL divergence from teacher to target, averaged over the batch, in nats.

    KL(softmax(t / T) || softmax(s / T)) * T**2. Zero when both agree; T**2 keeps the gradient's scale independent of T.

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


def mse_loss(target_logits: Tensor, teacher_logits: Tensor, *, temperature: Temperature) -> Tensor:
    """Mean square difference of centred logits, averaged over batch and classes.

    mean(((s - mean(s)) / T - (t - mean(t)) / T)**2) * T**2. Zero when both give the same probabilities. T cancels, so
    this is the control for temperature schedules.

    Args:
        target_logits: [B, C].
        teacher_logits: Same shape; a constant.
        temperature: T > 0; has no effect.

    Raises:
        ValueError: If the shapes differ or T is not positive.

    Source: Ba and Caruana 2014, arXiv 1312.6184; the limit of `kl` for large T, Hinton et al. 2015.
    """
    check_logits(target_logits, teacher_logits, temperature)
    teacher = teacher_logits.detach()
    difference = (target_logits - teacher) / temperature
    return (difference - difference.mean(dim=1, keepdim=True)).square().mean() * temperature**2


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


DKD_TARGET_WEIGHT, DKD_OTHERS_WEIGHT = 1.0, 8.0


def dkd_loss(target_logits: Tensor, teacher_logits: Tensor, *, temperature: Temperature) -> Tensor:
    """Decoupled KL: the teacher's top class against the rest, and the rest among themselves.

    (alpha * KL(binary) + beta * KL(others)) * T**2 with alpha 1 and beta 8. Zero when both agree. The paper takes the
    true class; ours is the teacher's top class, so that images without labels can take part.

    Args:
        target_logits: [B, C], C >= 3.
        teacher_logits: Same shape; a constant.
        temperature: T > 0.

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
    return (DKD_TARGET_WEIGHT * binary + DKD_OTHERS_WEIGHT * others) * temperature**2


def _top_and_rest(log_probabilities: Tensor, top: Tensor) -> Tensor:
    """Log probabilities of the marked class and of all others together, [B, 2]."""
    rest = log_probabilities.masked_fill(top, -torch.inf).logsumexp(dim=1)
    return torch.stack([log_probabilities[top], rest], dim=1)


def _among_rest(log_probabilities: Tensor, top: Tensor) -> Tensor:
    """Log probabilities of the unmarked classes among themselves, [B, C - 1]."""
    rest = log_probabilities[~top].view(len(top), -1)
    return log_softmax(rest, dim=1)


LOSSES: dict[str, Callable[..., Tensor]] = {"kl": kl_loss, "mse": mse_loss, "dist": dist_loss, "dkd": dkd_loss}


def standardize_logits(logits: Tensor) -> Tensor:
    """Each row to mean 0 and standard deviation 1, [B, C]; a constant row becomes 0.

    Source: Sun et al. 2024, arXiv 2403.01427. With two classes every row would become plus or minus one: refused by
    the configuration.
    """
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / centred.std(dim=1, keepdim=True).clamp(min=1e-7)


def cka_alignment(features: Tensor, embedding: Tensor) -> Tensor:
    """One minus linear centred kernel alignment of two descriptions of a batch, in 0..1.

    1 - <K, L> / (|K| |L|) with centred Gram matrices K of the features and L of the embedding. Zero when one is a
    rotated, scaled copy of the other; so the widths may differ.

    Args:
        features: The target's, [B, d1], B >= 2.
        embedding: The teacher's, [B, d2]; a constant.

    Raises:
        ValueError: If the batches differ.

    Source: Kornblith et al. 2019, arXiv 1905.00414.
    """
    if len(features) != len(embedding):
        raise ValueError(f"the batches must be equal, but got ({len(features)}, {len(embedding)})")
    gram = _centred_gram(features)
    other = _centred_gram(embedding.detach())
    return 1 - (normalize(gram.flatten(), dim=0) * normalize(other.flatten(), dim=0)).sum()


def cosine_alignment(projected: Tensor, embedding: Tensor) -> Tensor:
    """One minus the cosine of each projected feature with its embedding, averaged, in 0..2.

    Args:
        projected: The target's features after a learned projection, [B, d].
        embedding: The teacher's, [B, d]; a constant.
    """
    return 1 - (normalize(projected, dim=1) * normalize(embedding.detach(), dim=1)).sum(dim=1).mean()


ALIGNMENTS = ("cka", "project")


def label_loss(logits: Tensor, labels: Tensor, partner_labels: Tensor, ratio: Tensor) -> Tensor:
    """Cross entropy with the labels there are, averaged over their weight, in nats; zero if there are none.

    A mixed view counts `ratio` for its own label and the rest for its partner's.

    Args:
        logits: [B, C].
        labels: Class or -1 for none, [B].
        partner_labels: Likewise for the image mixed in, [B].
        ratio: Share of the own image, in 0..1, [B].
    """
    own = ratio * (labels >= 0)
    other = (1 - ratio) * (partner_labels >= 0)
    losses = own * cross_entropy(logits, labels.clamp(min=0), reduction="none")
    losses = losses + other * cross_entropy(logits, partner_labels.clamp(min=0), reduction="none")
    return losses.sum() / (own + other).sum().clamp(min=1e-6)


def check_logits(target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> None:
    """Raises ValueError unless both have one shape [B, C] and the temperature is positive."""
    if target_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"logits must have one shape, but got {tuple(target_logits.shape)} and {tuple(teacher_logits.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, but got {temperature}")


def _pearson(rows: Tensor, others: Tensor) -> Tensor:
    """Pearson's correlation of matching rows, [B]; 0 where a row is constant."""
    rows = rows - rows.mean(dim=1, keepdim=True)
    others = others - others.mean(dim=1, keepdim=True)
    return (normalize(rows, dim=1, eps=1e-8) * normalize(others, dim=1, eps=1e-8)).sum(dim=1)


def _centred_gram(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0)
    return centred @ centred.T
