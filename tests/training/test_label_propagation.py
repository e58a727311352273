"""Label propagation: outputs of similar images are averaged, and outliers are outvoted."""

import pytest
import torch

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
