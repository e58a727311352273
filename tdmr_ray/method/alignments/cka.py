"""Alignment by centred kernel alignment, without a projection."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tdmr_ray.method.alignments.alignment import Alignment, AlignmentConfig

Estimator = Literal["biased", "debiased"]


class CKAAlignment(Alignment):
    """One minus linear centred kernel alignment; see `cka_distance`."""

    class Config(AlignmentConfig):
        """Hyperparameters of the CKA alignment."""

        kind: Literal["cka"] = "cka"
        estimator: Estimator = "biased"
        """Estimator of the similarity: `debiased` scores independent features 0 on average, however wide they are."""

    def __init__(self, config: Config, feature_dim: int, embedding_dim: int) -> None:
        super().__init__(config, feature_dim, embedding_dim)
        self.estimator: Estimator = config.estimator

    def distance(self, projected: Tensor, embedding: Tensor) -> Tensor:
        """Return `cka_distance`."""
        return cka_distance(projected, embedding, estimator=self.estimator)


def cka_distance(features: Tensor, embedding: Tensor, *, estimator: Estimator = "biased") -> Tensor:
    """One minus linear centred kernel alignment of two representations of a batch.

    1 - <K, L> / (|K| |L|) with Gram matrices K of the features and L of the embedding, centred as the estimator asks.
    Zero when one is a rotated, scaled copy of the other, so the widths may differ.

    `biased` centres rows and columns: in 0..1. Wide features that have nothing in common still score far below 1 if the
    batch is small. `debiased` is the ratio of unbiased estimates of HSIC: in 0..2, and 1 on average for independent
    features. It needs four images; fewer give 1 without a gradient.

    Args:
        features: The target's, [B, d1], B >= 2.
        embedding: The teacher's, [B, d2]; a constant.
        estimator: How HSIC is estimated.

    Raises:
        ValueError: If the batch sizes differ.

    Source: Kornblith et al. 2019, arXiv 1905.00414; debiased: Song et al. 2012, JMLR 13, and Nguyen et al. 2021,
    arXiv 2010.15327.
    """
    if len(features) != len(embedding):
        raise ValueError(f"the batches must be equal, but got ({len(features)}, {len(embedding)})")
    centred = _centred_gram if estimator == "biased" else _u_centred_gram
    gram, other = centred(features), centred(embedding.detach())
    return 1 - (normalize(gram.flatten(), dim=0) * normalize(other.flatten(), dim=0)).sum()


def _centred_gram(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0)
    return centred @ centred.T


def _u_centred_gram(features: Tensor) -> Tensor:
    """Gram matrix whose inner product with another is n (n - 3) times the unbiased HSIC; zero for n < 4 images.

    With K's diagonal removed: K_ij - (k_i + k_j) / (n - 2) + k / ((n - 1) (n - 2)) off the diagonal, where k_i are sums
    of rows and k is the sum of all. Centring the features first changes nothing but the rounding.
    """
    gram, num = _centred_gram(features), len(features)
    if num < 4:
        return gram * 0
    off_diagonal = 1 - torch.eye(num, dtype=gram.dtype, device=gram.device)
    gram = gram * off_diagonal
    rows = gram.sum(dim=1) / (num - 2)
    return (gram - rows - rows[:, None] + rows.sum() / (num - 1)) * off_diagonal
