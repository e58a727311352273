"""The loss of a distillation step: its terms, and their sum with the weights of a stage."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tdmr_ray.data.task import Images
from tdmr_ray.data.views import ViewBatch
from tdmr_ray.method.alignments import Alignment
from tdmr_ray.method.losses import LogitLoss, Temperature, label_loss
from tdmr_ray.method.stages import TermWeights
from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.training.workers import Workers


@dataclass(frozen=True)
class BatchLabels:
    """Labels of a batch of views.

    Attributes:
        own: Class of each view's own image, -1 for none, [B].
        partner: Class of the image mixed in, -1 for none, [B].
        ratio: Share of the own image, in 0..1, [B].
    """

    own: Tensor
    partner: Tensor
    ratio: Tensor

    @classmethod
    def of(cls, view: ViewBatch, images: Images, device: torch.device) -> "BatchLabels":
        """Look up the labels of views, on a device."""
        labels = images.labels
        return cls(labels[view.rows].to(device), labels[view.partner].to(device), view.ratio.to(device))

    def top1(self, logits: Tensor) -> Tensor:
        """Return the share of labelled views whose own class has the largest logit; 0 without labels."""
        right = (logits.argmax(dim=1) == self.own)[self.own >= 0].float()
        return right.mean() if len(right) else torch.zeros(())


@dataclass(frozen=True)
class BatchOutputs:
    """All that the loss of a batch compares.

    Attributes:
        features: Target features prepared for the alignment, [B, d].
        logits: Target logits, [B, C].
        labels: Labels of the batch.
        proxy: Teacher outputs, or None.
    """

    features: Tensor
    logits: Tensor
    labels: BatchLabels
    proxy: ProxySpace | None

    def joined(self, workers: Workers, batch_size: int) -> "BatchOutputs":
        """Return the outputs of the whole batch, of which each worker has its part.

        A loss that compares the images of a batch, or divides by the number of its labels, differs from the mean of the
        losses of its parts. Every worker therefore computes the loss of all of it; the outputs of a batch are small.
        """
        labels = self.labels
        own = [self.features, self.logits, labels.own, labels.partner, labels.ratio, *(self.proxy or ())]
        features, logits, mine, partner, ratio, *proxy = workers.join_all(own, batch_size)
        labels = BatchLabels(mine, partner, ratio)
        return BatchOutputs(features, logits, labels, ProxySpace(*proxy) if proxy else None)


def loss_terms(
    outputs: BatchOutputs,
    temperature: Temperature,
    *,
    alignment: Alignment | None,
    logit_loss: LogitLoss,
    class_weights: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the named terms of a batch before weighting; those of the teacher only if there is one.

    Args:
        outputs: Outputs of target and teacher for the batch.
        temperature: T > 0.
        alignment: Compares features with the teacher's embedding; None without a teacher.
        logit_loss: Compares logits with the teacher's.
        class_weights: Weight of each class in the label loss, [C]; None for equal ones.
    """
    logits, labels, proxy = outputs.logits, outputs.labels, outputs.proxy
    terms = {"labels": label_loss(logits, labels.own, labels.partner, labels.ratio, class_weights)}
    if proxy is None or alignment is None:
        return terms
    terms["alignment"] = alignment.distance(outputs.features, proxy.embedding)
    terms["logits"] = logit_loss(logits, proxy.logits, temperature)
    return terms


def weighted_sum(terms: Mapping[str, Tensor], weights: TermWeights, device: torch.device) -> Tensor:
    """Return the loss: each term times its weight."""
    by_name = {"alignment": weights.alignment, "logits": weights.logits, "labels": weights.labels}
    return sum((by_name[name] * term for name, term in terms.items()), torch.zeros((), device=device))
