"""Label propagation: outputs of similar images are averaged, and outliers are outvoted."""

import pytest
import torch
from torch.nn.functional import normalize, one_hot

from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.training.label_propagation import propagate_labels

GROUPS = ProxySpace(
    embedding=torch.tensor([[1.0, 0.02 * place] for place in range(4)] + [[0.02 * place, 1.0] for place in range(4)]),
    logits=torch.tensor([[2.0, 0.0], [0.0, 1.0], [2.0, 0.0], [2.0, 0.0]] + [[0.0, 2.0]] * 4),
)
"""Two groups of four similar images; the teacher takes the second image for one of the other group."""


def test_two_neighbors_share_their_outputs_by_hand() -> None:
    """Z = (1 - a) * (I - a * P)**-1 @ Y with P = [[0, 1], [1, 0]] is (Y[0] + a * Y[1]) / (1 + a) in its first row."""
    outputs = ProxySpace(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 6.0]]))
    moved = propagate_labels(outputs, neighbors=1, alpha=0.5)
    torch.testing.assert_close(moved.logits, torch.tensor([[2.0, 2.0], [1.0, 4.0]]))


def test_output_that_stands_alone_among_similar_images_is_outvoted() -> None:
    moved = propagate_labels(GROUPS, neighbors=3, alpha=0.8)
    assert moved.logits.argmax(dim=1).tolist() == [0] * 4 + [1] * 4
    assert torch.equal(GROUPS.logits.argmax(dim=1), torch.tensor([0, 1, 0, 0, 1, 1, 1, 1]))


@pytest.mark.parametrize("neighbors", [1, 3, 100])
def test_outputs_stay_if_all_agree_or_alpha_is_0(neighbors: int) -> None:
    alike = ProxySpace(torch.ones(5, 2), torch.tensor([[1.0, 2.0, 3.0]]).repeat(5, 1))
    for outputs, alpha in ((alike, 0.8), (GROUPS, 0.0)):
        for own, moved in zip(outputs, propagate_labels(outputs, neighbors=neighbors, alpha=alpha), strict=True):
            torch.testing.assert_close(moved, own)


def random_outputs(images: int, dim: int = 12, classes: int = 5, seed: int = 0) -> ProxySpace:
    """Draw images of `classes` groups, with logits that know little about the group."""
    draw = torch.Generator().manual_seed(seed)
    group = torch.arange(images) % classes
    centres = torch.randn(classes, dim, generator=draw)
    embedding = centres[group] + torch.randn(images, dim, generator=draw)
    return ProxySpace(embedding, one_hot(group, classes) + 3 * torch.randn(images, classes, generator=draw))


def closed_form(outputs: ProxySpace, neighbors: int, alpha: float) -> ProxySpace:
    """Z = (1 - alpha) * (I - alpha * P)**-1 @ Y with dense matrices, where P is built image by image."""
    unit = normalize(outputs.embedding.double(), dim=1)
    cosine = (unit @ unit.T).fill_diagonal_(-2)
    weights = torch.zeros_like(cosine)
    for row, nearest in enumerate(cosine.topk(neighbors, dim=1).indices):
        weights[row, nearest] = cosine[row, nearest].clamp(1e-6, 1) ** 3
    weights = torch.maximum(weights, weights.T)
    walk = weights / weights.sum(dim=1, keepdim=True)
    inverse = torch.linalg.inv(torch.eye(len(walk), dtype=torch.float64) - alpha * walk)
    return ProxySpace(*((1 - alpha) * inverse @ tensor.double() for tensor in outputs))


@pytest.mark.parametrize("alpha", [0.3, 0.8, 0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("neighbors", [1, 6, 39])
def test_outputs_are_those_of_the_closed_form(alpha: float, neighbors: int) -> None:
    outputs = random_outputs(40)
    expected = closed_form(outputs, neighbors, alpha)
    for moved, wanted in zip(propagate_labels(outputs, neighbors=neighbors, alpha=alpha), expected, strict=True):
        torch.testing.assert_close(moved.double(), wanted, rtol=1e-5, atol=1e-5)


def test_an_image_that_resembles_none_has_the_outputs_of_the_closed_form() -> None:
    """Its similarities are at their floor of 1e-18, so that a solver which weighs images by them would overlook it."""
    outputs = random_outputs(30)
    opposite = -outputs.embedding.mean(dim=0, keepdim=True)
    lonely = ProxySpace(
        torch.cat([outputs.embedding.abs(), -opposite.abs()]), torch.cat([outputs.logits, 9 + outputs.logits[:1]])
    )
    expected = closed_form(lonely, 4, 0.95)
    moved = propagate_labels(lonely, neighbors=4, alpha=0.95)
    torch.testing.assert_close(moved.logits.double(), expected.logits, rtol=1e-5, atol=1e-5)


def test_columns_do_not_depend_on_how_many_are_propagated_together() -> None:
    outputs = random_outputs(30, dim=150)
    moved = propagate_labels(outputs, neighbors=4, alpha=0.9)
    torch.testing.assert_close(moved.embedding.double(), closed_form(outputs, 4, 0.9).embedding, rtol=1e-5, atol=1e-5)
