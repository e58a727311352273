"""Every alignment keeps its contract; CKA and the cosine match values worked out by hand."""

import itertools
import math
from typing import get_args

import pytest
import torch
from helpers.contracts import contract_of
from torch import Tensor

from tdmr_ray.method.alignments import ALIGNMENTS, Alignment, CKAAlignment, ProjectionAlignment
from tdmr_ray.method.alignments.cka import Estimator, cka_distance
from tdmr_ray.testing import AlignmentContract


@contract_of(ALIGNMENTS)
class TestContract(AlignmentContract):
    pass


def build(kind: str, feature_dim: int = 4, embedding_dim: int = 7) -> Alignment:
    """Build an alignment for features and an embedding of different width."""
    return ALIGNMENTS[kind](ALIGNMENTS[kind].Config(), feature_dim, embedding_dim)


@pytest.mark.parametrize("kind", ALIGNMENTS)
def test_distance_is_a_scalar_between_0_and_2(kind: str) -> None:
    alignment = build(kind)
    for _ in range(20):
        distance = alignment(torch.randn(5, 4), torch.randn(5, 7))
        assert distance.shape == ()
        assert 0 <= distance <= 2


@pytest.mark.parametrize("estimator", ["biased", "debiased"])
def test_cka_is_zero_for_a_rotated_scaled_shifted_copy_and_for_other_widths(estimator: Estimator) -> None:
    features = torch.randn(10, 5)
    rotation = torch.linalg.qr(torch.randn(5, 5)).Q
    assert cka_distance(features, 3 * features @ rotation + 1, estimator=estimator) == pytest.approx(0, abs=1e-5)
    repeated = torch.cat([features, features], dim=1)
    assert cka_distance(features, repeated, estimator=estimator) == pytest.approx(0, abs=1e-5)
    assert cka_distance(features, torch.randn(10, 7), estimator=estimator) > 0.1


def unbiased_hsic(gram: Tensor, other: Tensor) -> float:
    """Unbiased HSIC by its definition, a sum over all ordered choices of four different images.

    Song et al. 2012, JMLR 13: the mean of K_ij (L_ij + L_qr - 2 L_iq).
    """
    choices = list(itertools.permutations(range(len(gram)), 4))
    terms = [float(gram[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])) for i, j, q, r in choices]
    return sum(terms) / len(terms)


@pytest.mark.parametrize("num_images", [4, 5, 7])
def test_debiased_cka_is_the_ratio_of_unbiased_estimates(num_images: int) -> None:
    features, embedding = torch.randn(num_images, 3).double(), torch.randn(num_images, 6).double() + 2
    gram, other = features @ features.T, embedding @ embedding.T
    scale = math.sqrt(unbiased_hsic(gram, gram) * unbiased_hsic(other, other))
    expected = 1 - unbiased_hsic(gram, other) / scale
    assert cka_distance(features, embedding, estimator="debiased") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("estimator", "expected"), [("biased", 0.79), ("debiased", 0.0)])
def test_independent_wide_features_score_zero_only_without_bias(estimator: Estimator, expected: float) -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [[torch.randn(64, width, generator=generator) for width in (1024, 128)] for _ in range(30)]
    scores = torch.stack([1 - cka_distance(*pair, estimator=estimator) for pair in batches])
    assert scores.mean() == pytest.approx(expected, abs=0.02)


def test_debiased_cka_of_three_images_is_1_and_leaves_them_alone() -> None:
    features = torch.randn(3, 4).requires_grad_()
    distance = cka_distance(features, torch.randn(3, 7), estimator="debiased")
    distance.backward()
    assert distance == 1
    assert torch.equal(features.grad, torch.zeros(3, 4))


def test_the_setting_chooses_the_estimator() -> None:
    features, embedding = torch.randn(8, 4), torch.randn(8, 7)
    for estimator in get_args(Estimator):
        alignment = CKAAlignment(CKAAlignment.Config(estimator=estimator), 4, 7)
        expected = cka_distance(features, embedding, estimator=estimator)
        assert torch.equal(alignment(features, embedding), expected)


def test_cka_by_hand() -> None:
    # centred, 1-dimensional: K = x x', L = y y'; the value is the squared correlation
    x, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [2.0], [1.0]])
    assert cka_distance(x, y) == pytest.approx(1 - 0.5**2)


def test_cka_refuses_different_batches() -> None:
    with pytest.raises(ValueError, match=r"the batches must be equal, but got \(3, 4\)"):
        cka_distance(torch.zeros(3, 2), torch.zeros(4, 2))


@pytest.mark.parametrize(("factor", "expected"), [(2.0, 0.0), (-1.0, 2.0)])
def test_cosine_of_projected_features_by_hand(factor: float, expected: float) -> None:
    alignment, embedding = build("project"), torch.randn(5, 7)
    assert alignment.distance(factor * embedding, embedding) == pytest.approx(expected, abs=1e-6)


def test_projection_has_the_embeddings_width() -> None:
    alignment = build("project")
    assert isinstance(alignment, ProjectionAlignment)
    features = torch.randn(5, 4)
    torch.testing.assert_close(
        alignment.project(features), features @ alignment.projection.weight.T + alignment.projection.bias
    )


def test_cka_has_nothing_to_learn() -> None:
    features = torch.randn(5, 4)
    assert build("cka").project(features) is features
    assert list(build("cka").parameters()) == []
