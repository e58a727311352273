"""Cross entropy with the labels that exist."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def label_loss(
    logits: Tensor, labels: Tensor, partner_labels: Tensor, ratio: Tensor, class_weights: Tensor | None = None
) -> Tensor:
    """Cross entropy averaged over the labels of a batch, in nats; zero without labels.

    A mixed view counts `ratio` for its own label and the rest for its partner's. Class weights multiply the loss of
    each label and are not divided by again, so that a batch of rare classes counts for more than one of common ones.

    Args:
        logits: [B, C].
        labels: Class or -1 for none, [B].
        partner_labels: The same for the image mixed in, [B].
        ratio: Share of the own image, in 0..1, [B].
        class_weights: Weight of each class, 1 on average over the labels of the task, [C]; None for equal ones.
    """
    own = ratio * (labels >= 0)
    other = (1 - ratio) * (partner_labels >= 0)
    losses = own * _weighted_cross_entropy(logits, labels, class_weights)
    losses = losses + other * _weighted_cross_entropy(logits, partner_labels, class_weights)
    return losses.sum() / (own + other).sum().clamp(min=1e-6)


def _weighted_cross_entropy(logits: Tensor, labels: Tensor, class_weights: Tensor | None) -> Tensor:
    """Cross entropy of each row times the weight of its class, [B]; a missing label counts as class 0."""
    return cross_entropy(logits, labels.clamp(min=0), weight=class_weights, reduction="none")


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Return class weights that are inversely proportional to the number of labels, and 1 on average over the labels.

    n / (K * n_c) for n labels, n_c of them in class c, and K classes that have any; 0 for a class without labels.

    Args:
        labels: Classes of the labelled images, [n].
        num_classes: C.

    Returns:
        Weights [C].

    Source: King and Zeng 2001, Political Analysis 9; `compute_class_weight` in scikit-learn.
    """
    counts = torch.bincount(labels, minlength=num_classes).float()
    weights = counts.sum() / ((counts > 0).sum() * counts)
    return weights.where(counts > 0, 0.0)
