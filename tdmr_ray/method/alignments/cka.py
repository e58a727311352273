"""Alignment by centred kernel alignment, without a projection."""

from typing import Literal

from torch import Tensor
from torch.nn.functional import normalize

from tdmr_ray.method.alignments.alignment import Alignment, AlignmentConfig


class CKAAlignment(Alignment):
    """One minus linear centred kernel alignment; see `cka_distance`."""

    class Config(AlignmentConfig):
        """Hyperparameters of the CKA alignment: none."""

        kind: Literal["cka"] = "cka"

    def distance(self, projected: Tensor, embedding: Tensor) -> Tensor:
        """Return `cka_distance`."""
        return cka_distance(projected, embedding)


def cka_distance(features: Tensor, embedding: Tensor) -> Tensor:
    """One minus linear centred kernel alignment of two representations of a batch, in 0..1.

    1 - <K, L> / (|K| |L|) with centred Gram matrices K of the features and L of the embedding. Zero when one is a
    rotated, scaled copy of the other, so the widths may differ.

    Args:
        features: The target's, [B, d1], B >= 2.
        embedding: The teacher's, [B, d2]; a constant.

    Raises:
        ValueError: If the batch sizes differ.

    Source: Kornblith et al. 2019, arXiv 1905.00414.
    """
    if len(features) != len(embedding):
        raise ValueError(f"the batches must be equal, but got ({len(features)}, {len(embedding)})")
    gram = _centred_gram(features)
    other = _centred_gram(embedding.detach())
    return 1 - (normalize(gram.flatten(), dim=0) * normalize(other.flatten(), dim=0)).sum()


def _centred_gram(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0)
    return centred @ centred.T
