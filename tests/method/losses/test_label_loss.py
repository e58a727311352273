"""The cross entropy with labels counts only labels that exist, by their share in a mixed view."""

import pytest
import torch

from tdmr_ray.method.losses import label_loss

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
