"""The cross entropy with labels counts only labels that exist, by their share in a mixed view."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from tdmr_ray.method.losses import balanced_weights, label_loss

UNIFORM = torch.zeros(2, 4)
LN_4 = torch.tensor(4.0).log().item()


@pytest.mark.parametrize(
    ("labels", "partners", "ratio", "expected"),
    [
        ([0, 1], [0, 1], [1.0, 1.0], LN_4),
        ([0, -1], [0, -1], [1.0, 1.0], LN_4),
        ([-1, -1], [-1, -1], [1.0, 1.0], 0.0),
        ([0, -1], [1, 2], [0.3, 0.5], LN_4),
    ],
    ids=["all labelled", "one unlabelled", "none labelled", "mixed"],
)
def test_missing_labels_do_not_change_the_mean(
    labels: list[int], partners: list[int], ratio: list[float], expected: float
) -> None:
    loss = label_loss(UNIFORM, torch.tensor(labels), torch.tensor(partners), torch.tensor(ratio))
    assert loss == pytest.approx(expected)


def test_mixed_view_counts_each_label_by_its_ratio() -> None:
    scores = torch.tensor([[0.5, 0.25, 0.25]]).log()
    loss = label_loss(scores, torch.tensor([0]), torch.tensor([1]), torch.tensor([0.25]))
    expected = 0.25 * torch.tensor(2.0).log() + 0.75 * torch.tensor(4.0).log()
    torch.testing.assert_close(loss, expected)


def test_balanced_weights_are_inverse_to_the_counts_and_1_on_average_over_the_labels() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = balanced_weights(labels, 4)
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 0.0, 10 / 3])
    assert weights[labels].mean() == pytest.approx(1.0)
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels.numpy())
    assert weights[[0, 1, 3]].tolist() == pytest.approx(expected.tolist())


def test_classes_of_equal_size_have_weight_1() -> None:
    assert balanced_weights(torch.tensor([2, 0, 1, 1, 2, 0]), 3).tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_class_weights_multiply_the_loss_of_each_label_also_in_a_mixed_view() -> None:
    scores, weights = torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]]).log(), [2.0, 0.5, 4.0]
    labels, partners, ratio = [0, 2, -1], [1, -1, -1], [0.25, 0.5, 1.0]
    total = share = 0.0
    for row, pair in enumerate(zip(labels, partners, strict=True)):
        for label, part in zip(pair, (ratio[row], 1 - ratio[row]), strict=True):
            if label >= 0:
                total -= part * weights[label] * scores[row, label].item()
                share += part
    loss = label_loss(scores, torch.tensor(labels), torch.tensor(partners), torch.tensor(ratio), torch.tensor(weights))
    assert loss == pytest.approx(total / share)
