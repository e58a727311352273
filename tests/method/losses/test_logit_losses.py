"""Every logit loss keeps its contract and matches its definition, worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.contracts import contract_of
from torch import Tensor

from tdmr_ray.method.component import TaskFacts
from tdmr_ray.method.losses import LOSSES, DKDLoss, LogitLoss
from tdmr_ray.method.losses.dist import dist_loss
from tdmr_ray.method.losses.dkd import dkd_loss
from tdmr_ray.method.losses.kl import kl_loss
from tdmr_ray.method.losses.logit_loss import standardize_logits
from tdmr_ray.method.losses.mse import mse_loss
from tdmr_ray.method.moment import Moment
from tdmr_ray.testing import LossContract
from tdmr_ray.testing.component import foundation_shape


@contract_of(LOSSES, {"standardize": True})
class TestContract(LossContract):
    pass


def logits(seed: int, classes: int = 4, batch: int = 6) -> Tensor:
    """Draw random logits."""
    return 2 * torch.randn(batch, classes, generator=torch.Generator().manual_seed(seed))


def build(kind: str, **values: Any) -> LogitLoss:
    """Build a logit loss."""
    return LOSSES[kind](LOSSES[kind].Config(**values))


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_loss_is_zero_when_both_agree_and_positive_otherwise(kind: str, standardize: bool, temperature: float) -> None:
    loss = build(kind, standardize=standardize)
    assert loss(logits(1), logits(1), temperature) == pytest.approx(0, abs=1e-4)
    assert loss(logits(1), logits(2), temperature) > 0.01


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("standardize", [False, True])
def test_constant_added_to_all_logits_changes_nothing(kind: str, standardize: bool) -> None:
    loss = build(kind, standardize=standardize)
    plain = loss(logits(1), logits(2), 2.0)
    assert loss(logits(1) + 7, logits(2) - 3, 2.0) == pytest.approx(plain.item(), rel=1e-4)


@pytest.mark.parametrize("kind", LOSSES)
def test_standardize_applies_the_loss_to_standardised_logits_of_both(kind: str) -> None:
    expected = build(kind)(standardize_logits(logits(1)), standardize_logits(logits(2)), 2.0)
    loss = build(kind, standardize=True, standardize_weight=2)
    assert torch.equal(loss(logits(1), logits(2), 2.0), 2 * expected)
    assert loss(5 * logits(1), logits(2), 2.0) == pytest.approx(2 * expected.item(), rel=1e-4)


def test_standardised_kl_is_the_loss_of_its_source() -> None:
    """9 * T**2 * sum(p * log(p / q)) / B of z = (logits - mean) / std, worked out with NumPy (Sun et al. 2024)."""

    def probabilities(values: Tensor) -> Any:
        rows = values.double().numpy()
        rows = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, ddof=1, keepdims=True)
        powers = np.exp(rows / 2)
        return powers / powers.sum(axis=1, keepdims=True)

    target, teacher = probabilities(logits(1)), probabilities(logits(2))
    expected = 9 * 2**2 * (teacher * np.log(teacher / target)).sum() / 6
    assert build("kl", standardize=True)(logits(1), logits(2), 2.0).item() == pytest.approx(expected, rel=1e-5)


def test_gradient_of_a_constant_row_is_finite() -> None:
    target = torch.cat([torch.ones(1, 4), logits(1)]).requires_grad_()
    build("kl", standardize=True)(target, logits(2, batch=7), 2.0).backward()
    assert target.grad is not None
    assert torch.isfinite(target.grad).all()


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize(("shape", "temperature"), [((6, 5), 1.0), ((6, 4), 0.0), ((6, 4), -1.0)])
def test_wrong_shapes_and_temperatures_are_refused(kind: str, shape: tuple[int, int], temperature: float) -> None:
    with pytest.raises(ValueError, match="but got"):
        build(kind)(logits(1), torch.zeros(shape), temperature)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("num_classes", [2, 3])
def test_check_refuses_exactly_what_fails(kind: str, num_classes: int) -> None:
    problems = LOSSES[kind].Config().check(foundation_shape(), TaskFacts(num_classes))
    pair = logits(1, classes=num_classes), logits(2, classes=num_classes)
    if problems:
        assert problems == ["kind: 'dkd' needs at least 3 task classes, got 2; use kl, mse or dist"]
        with pytest.raises(ValueError, match="at least 3 task classes, but got 2"):
            build(kind)(*pair, 2.0)
    else:
        assert torch.isfinite(build(kind)(*pair, 2.0))


@pytest.mark.parametrize("kind", LOSSES)
def test_standardisation_is_refused_for_two_classes(kind: str) -> None:
    config = LOSSES[kind].Config(standardize=True)
    expected = "standardize: carries no information with 2 task classes; set it to false"
    assert config.check(foundation_shape(), TaskFacts(2))[0] == expected
    assert config.check(foundation_shape(), TaskFacts(3)) == []
    assert torch.equal(standardize_logits(torch.tensor([[1.0, 9.0]])).sign(), torch.tensor([[-1.0, 1.0]]))


@pytest.mark.parametrize("kind", ["kl", "mse", "dkd"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_loss_that_compares_single_images_does_not_depend_on_the_batch(kind: str, size: int) -> None:
    both = build(kind)(logits(1), logits(2), 3.0)
    pairs = zip(logits(1).split(size), logits(2).split(size), strict=True)
    torch.testing.assert_close(both, torch.stack([build(kind)(*pair, 3.0) for pair in pairs]).mean())


def test_kl_by_hand() -> None:
    # teacher (3/4, 1/4), target (1/2, 1/2): 3/4 ln 3/2 + 1/4 ln 1/2
    target, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()
    expected = 0.75 * torch.tensor(1.5).log() + 0.25 * torch.tensor(0.5).log()
    torch.testing.assert_close(kl_loss(target, teacher, temperature=1.0), expected)
    # doubled logits at temperature 2 have the same probabilities, and the loss is multiplied by 2**2
    torch.testing.assert_close(kl_loss(2 * target, 2 * teacher, temperature=2.0), 4 * expected)


def test_temperature_squared_keeps_the_scale_of_kl_gradients() -> None:
    norms = []
    for temperature in (20.0, 40.0):
        target = logits(1).requires_grad_()
        kl_loss(target, logits(2), temperature=temperature).backward()
        assert target.grad is not None
        norms.append(target.grad.norm().item())
    assert norms[1] == pytest.approx(norms[0], rel=0.05)


def test_mse_by_hand_does_not_depend_on_temperature() -> None:
    target, teacher = torch.tensor([[1.0, 3.0]]), torch.tensor([[5.0, 5.0]])
    # centred difference (-1, +1)
    assert mse_loss(target, teacher, temperature=1.0) == 1.0
    assert mse_loss(target, teacher, temperature=9.0) == 1.0


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_dist_by_hand(temperature: float) -> None:
    # first row: (0.5, 0.2, 0.3) against (0.3, 0.2, 0.5), centred in thirtieths (5, -4, -1) and (-1, -4, 5): 6 / 42;
    # second row: equal, 1. With two images every column rises or falls; all three do so alike: 1
    teacher = torch.tensor([[0.5, 0.2, 0.3], [0.2, 0.6, 0.2]])
    target = torch.tensor([[0.3, 0.2, 0.5], [0.2, 0.6, 0.2]])
    expected = 1 - (6 / 42 + 1) / 2
    loss = dist_loss(target.log() * temperature, teacher.log() * temperature, temperature=temperature)
    assert loss.item() == pytest.approx(expected * temperature**2, abs=1e-5)


def test_dist_of_reversed_rows_is_large() -> None:
    teacher = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]).log()
    assert dist_loss(teacher, teacher, temperature=1.0) == pytest.approx(0, abs=1e-6)
    assert dist_loss(teacher.flip(1), teacher, temperature=1.0) > 0.5


def test_dkd_by_hand() -> None:
    # T 1. teacher (1/2, 1/4, 1/4), target (1/4, 1/2, 1/4); top class 0
    teacher, target = torch.tensor([[2.0, 1.0, 1.0]]).log(), torch.tensor([[1.0, 2.0, 1.0]]).log()
    binary = 0.5 * torch.tensor(2.0).log() + 0.5 * torch.tensor(0.5 / 0.75).log()
    others = 0.5 * torch.tensor(0.5 / (2 / 3)).log() + 0.5 * torch.tensor(0.5 / (1 / 3)).log()
    torch.testing.assert_close(dkd_loss(target, teacher, temperature=1.0), binary + 8 * others)
    weighted = DKDLoss(DKDLoss.Config(alpha=2.0, beta=0.5))
    torch.testing.assert_close(weighted(target, teacher, 1.0), 2 * binary + 0.5 * others)


@pytest.mark.parametrize(
    ("warmup", "progress", "share"),
    [(0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (0.5, 0.0, 0.0), (0.5, 0.25, 0.5), (0.5, 0.5, 1.0), (0.5, 0.9, 1.0), (1, 1, 1)],
)
def test_dkd_warms_up_linearly(warmup: float, progress: float, share: float) -> None:
    loss = build("dkd", warmup=warmup)
    torch.testing.assert_close(
        loss.at(Moment(progress))(logits(1), logits(2), 3.0), share * dkd_loss(logits(1), logits(2), temperature=3.0)
    )


@pytest.mark.parametrize("epoch", [1, 5, 20, 21, 240])
def test_dkd_warms_up_by_default_as_in_its_source(epoch: int) -> None:
    """The source multiplies by min(epoch / 20, 1) in 240 epochs; ours is equal when an epoch ends."""
    assert build("dkd").at(Moment(epoch / 240)).weight() == pytest.approx(min(epoch / 20, 1))


@pytest.mark.parametrize("kind", [kind for kind in LOSSES if kind != "dkd"])
def test_other_losses_are_the_same_at_every_moment(kind: str) -> None:
    loss = build(kind)
    assert torch.equal(loss.at(Moment(0.0))(logits(1), logits(2), 2.0), loss(logits(1), logits(2), 2.0))


@pytest.mark.parametrize(("temperature", "relative"), [(10.0, 0.3), (100.0, 0.03), (1000.0, 0.003)])
@pytest.mark.parametrize("classes", [2, 4, 50])
def test_kl_tends_to_half_of_mse_for_high_temperatures(temperature: float, relative: float, classes: int) -> None:
    pair = logits(1, classes).double(), logits(2, classes).double()
    half = 0.5 * mse_loss(*pair, temperature=temperature)
    assert kl_loss(*pair, temperature=temperature).item() == pytest.approx(half.item(), rel=relative)


def test_gradient_of_kl_tends_to_the_difference_of_centred_logits_per_class() -> None:
    """(s - t) / (C * B) with centred logits, equation 4 of Hinton et al. 2015; that of mse is twice as large."""
    target, teacher = logits(1).double().requires_grad_(), logits(2).double()
    (gradient,) = torch.autograd.grad(kl_loss(target, teacher, temperature=1e4), target)
    (twice,) = torch.autograd.grad(mse_loss(target, teacher, temperature=1.0), target)
    difference = (target - teacher).detach()
    expected = (difference - difference.mean(dim=1, keepdim=True)) / difference.numel()
    torch.testing.assert_close(gradient, expected, rtol=1e-2, atol=1e-4)
    torch.testing.assert_close(twice, 2 * expected)


def test_dkd_with_weights_of_one_and_the_teachers_doubt_is_kl() -> None:
    """KL(all) = KL(binary) + (1 - p(top)) * KL(others), Zhao et al. 2022, equation 5; p(top) is 1/2 here."""
    teacher, target = torch.tensor([[2.0, 1.0, 1.0]]).log(), torch.tensor([[1.0, 2.0, 4.0]]).log()
    whole = kl_loss(target, teacher, temperature=1.0)
    torch.testing.assert_close(dkd_loss(target, teacher, temperature=1.0, alpha=1.0, beta=0.5), whole)


def test_standardized_logits_have_mean_0_and_deviation_1() -> None:
    rows = standardize_logits(logits(3))
    torch.testing.assert_close(rows.mean(dim=1), torch.zeros(6), atol=1e-6, rtol=0)
    torch.testing.assert_close(rows.std(dim=1), torch.ones(6))
    assert torch.equal(standardize_logits(torch.ones(2, 3)), torch.zeros(2, 3))
