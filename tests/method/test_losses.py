"""Losses against their definitions, and what each must be."""

import pytest
import torch
from torch import Tensor

from tdmr_ray.method.losses import (
    LOSSES,
    cka_alignment,
    cosine_alignment,
    dist_loss,
    dkd_loss,
    kl_loss,
    label_loss,
    mse_loss,
    standardize_logits,
)


def logits(seed: int, classes: int = 4, batch: int = 6) -> Tensor:
    return 2 * torch.randn(batch, classes, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_zero_when_both_agree_and_positive_otherwise(kind: str, temperature: float) -> None:
    assert LOSSES[kind](logits(1), logits(1), temperature=temperature) == pytest.approx(0, abs=1e-4)
    assert LOSSES[kind](logits(1), logits(2), temperature=temperature) > 0.01


@pytest.mark.parametrize("kind", LOSSES)
def test_a_constant_added_to_all_logits_changes_nothing(kind: str) -> None:
    plain = LOSSES[kind](logits(1), logits(2), temperature=2.0)
    moved = LOSSES[kind](logits(1) + 7, logits(2) - 3, temperature=2.0)
    assert moved == pytest.approx(plain.item(), rel=1e-4)


@pytest.mark.parametrize("kind", LOSSES)
def test_gradients_reach_the_target_and_not_the_teacher(kind: str) -> None:
    target, teacher = logits(1).requires_grad_(), logits(2).requires_grad_()
    LOSSES[kind](target, teacher, temperature=2.0).backward()
    assert target.grad is not None
    assert target.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize(("shape", "temperature"), [((6, 5), 1.0), ((6, 4), 0.0), ((6, 4), -1.0)])
def test_wrong_shapes_and_temperatures_are_refused(kind: str, shape: tuple[int, int], temperature: float) -> None:
    with pytest.raises(ValueError, match="but got"):
        LOSSES[kind](logits(1), torch.zeros(shape), temperature=temperature)


@pytest.mark.parametrize("kind", [kind for kind in LOSSES if kind != "dkd"])
def test_two_classes_work(kind: str) -> None:
    assert torch.isfinite(LOSSES[kind](logits(1, classes=2), logits(2, classes=2), temperature=2.0))


def test_dkd_refuses_two_classes() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        dkd_loss(logits(1, classes=2), logits(2, classes=2), temperature=2.0)


def test_kl_by_hand() -> None:
    # teacher (3/4, 1/4), target (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2
    target, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()
    expected = 0.75 * torch.tensor(1.5).log() + 0.25 * torch.tensor(0.5).log()
    torch.testing.assert_close(kl_loss(target, teacher, temperature=1.0), expected)


@pytest.mark.parametrize("kind", ["kl", "mse", "dkd"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_compares_images_one_by_one_does_not_depend_on_the_batch(kind: str, size: int) -> None:
    both = LOSSES[kind](logits(1), logits(2), temperature=3.0)
    pairs = zip(logits(1).split(size), logits(2).split(size), strict=True)
    parts = [LOSSES[kind](*pair, temperature=3.0) for pair in pairs]
    torch.testing.assert_close(both, torch.stack(parts).mean())


def test_temperature_squared_keeps_the_scale_of_kl_gradients() -> None:
    norms = []
    for temperature in (20.0, 40.0):
        target = logits(1).requires_grad_()
        kl_loss(target, logits(2), temperature=temperature).backward()
        assert target.grad is not None
        norms.append(target.grad.norm().item())
    assert norms[1] == pytest.approx(norms[0], rel=0.05)


def test_mse_by_hand_and_without_temperature() -> None:
    target, teacher = torch.tensor([[1.0, 3.0]]), torch.tensor([[5.0, 5.0]])
    # centred difference (-1, +1)
    assert mse_loss(target, teacher, temperature=1.0) == 1.0
    assert mse_loss(target, teacher, temperature=9.0) == 1.0


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_dist_by_hand(temperature: float) -> None:
    # first row: (0.5, 0.2, 0.3) against (0.3, 0.2, 0.5), centred in thirtieths (5, -4, -1) and (-1, -4, 5): 6 / 42;
    # second row: equal, 1. Of two images every column rises or falls; all three do so alike: 1
    teacher = torch.tensor([[0.5, 0.2, 0.3], [0.2, 0.6, 0.2]])
    target = torch.tensor([[0.3, 0.2, 0.5], [0.2, 0.6, 0.2]])
    expected = 1 - (6 / 42 + 1) / 2
    loss = dist_loss(target.log() * temperature, teacher.log() * temperature, temperature=temperature)
    assert loss.item() == pytest.approx(expected * temperature**2, abs=1e-5)


def test_dist_sees_order_not_scale_of_rows() -> None:
    # equal rows up to scale around their mean have correlation 1; the two images differ, so the columns do too
    teacher = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]).log()
    assert dist_loss(teacher, teacher, temperature=1.0) == pytest.approx(0, abs=1e-6)
    assert dist_loss(teacher.flip(1), teacher, temperature=1.0) > 0.5


def test_dkd_by_hand() -> None:
    # T 1. teacher (1/2, 1/4, 1/4), target (1/4, 1/2, 1/4); top class 0
    teacher, target = torch.tensor([[2.0, 1.0, 1.0]]).log(), torch.tensor([[1.0, 2.0, 1.0]]).log()
    binary = 0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(0.5 / 0.75).log()
    others = 0.5 * torch.tensor(0.5 / (2 / 3)).log() + 0.5 * torch.tensor(0.5 / (1 / 3)).log()
    torch.testing.assert_close(dkd_loss(target, teacher, temperature=1.0), binary + 8 * others)


def test_standardized_logits_have_mean_0_and_deviation_1() -> None:
    rows = standardize_logits(logits(3))
    torch.testing.assert_close(rows.mean(dim=1), torch.zeros(6), atol=1e-6, rtol=0)
    torch.testing.assert_close(rows.std(dim=1), torch.ones(6))
    assert torch.equal(standardize_logits(torch.ones(2, 3)), torch.zeros(2, 3))


def test_cka_is_zero_for_a_rotated_scaled_shifted_copy_and_for_other_widths() -> None:
    features = torch.randn(10, 5)
    rotation = torch.linalg.qr(torch.randn(5, 5)).Q
    assert cka_alignment(features, 3 * features @ rotation + 1) == pytest.approx(0, abs=1e-5)
    assert cka_alignment(features, torch.cat([features, features], dim=1)) == pytest.approx(0, abs=1e-5)
    assert 0.1 < cka_alignment(features, torch.randn(10, 7)) <= 1


def test_cka_by_hand() -> None:
    # centred, 1-dimensional: K = x x', L = y y'; the value is the squared correlation
    x, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [2.0], [1.0]])
    assert cka_alignment(x, y) == pytest.approx(1 - 0.5**2)


def test_alignments_leave_the_teacher_alone() -> None:
    for alignment in (cka_alignment, cosine_alignment):
        features, embedding = torch.randn(5, 4).requires_grad_(), torch.randn(5, 4).requires_grad_()
        alignment(features, embedding).backward()
        assert features.grad is not None
        assert embedding.grad is None


@pytest.mark.parametrize(("factor", "expected"), [(2.0, 0.0), (-1.0, 2.0)])
def test_cosine_alignment(factor: float, expected: float) -> None:
    embedding = torch.randn(5, 4)
    assert cosine_alignment(factor * embedding, embedding) == pytest.approx(expected, abs=1e-6)


def test_cka_refuses_different_batches() -> None:
    with pytest.raises(ValueError, match="batches"):
        cka_alignment(torch.zeros(3, 2), torch.zeros(4, 2))


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
def test_label_loss(labels: list[int], partners: list[int], ratio: list[float], expected: float) -> None:
    loss = label_loss(UNIFORM, torch.tensor(labels), torch.tensor(partners), torch.tensor(ratio))
    assert loss == pytest.approx(expected)


def test_label_loss_weighs_by_ratio() -> None:
    scores = torch.tensor([[0.5, 0.25, 0.25]]).log()
    loss = label_loss(scores, torch.tensor([0]), torch.tensor([1]), torch.tensor([0.25]))
    expected = 0.25 * torch.tensor(2.0).log() + 0.75 * torch.tensor(4.0).log()
    torch.testing.assert_close(loss, expected)
