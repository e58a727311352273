"""A learned temperature: its bounds, its start, and that it climbs what the target descends."""

import pytest
import torch
from tdmr_ray.method.learned_temperature import LearnedTemperature, reversal_strength

from tdmr_ray.method.losses import LOSSES


def test_starts_where_the_paper_says() -> None:
    assert LearnedTemperature(1.0, 21.0)(1.0).item() == pytest.approx(1 + 20 * 0.731, abs=0.01)


@pytest.mark.parametrize(("start", "end"), [(1.0, 8.0), (8.0, 1.0), (2.0, 2.0)])
@pytest.mark.parametrize("level", [-50.0, 0.0, 50.0])
def test_stays_within_its_bounds(start: float, end: float, level: float) -> None:
    temperature = LearnedTemperature(start, end)
    torch.nn.init.constant_(temperature.level, level)
    assert min(start, end) <= temperature(1.0).item() <= max(start, end)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_gradient_is_reversed_by_its_strength(strength: float) -> None:
    temperature = LearnedTemperature(1.0, 5.0)
    temperature(strength).backward()
    slope = 4 * torch.sigmoid(torch.tensor(1.0)) * (1 - torch.sigmoid(torch.tensor(1.0)))
    assert temperature.level.grad is not None
    assert temperature.level.grad.item() == pytest.approx(-strength * slope.item())


@pytest.mark.parametrize("loss", ["kl", "dkd", "dist"])
def test_a_step_makes_the_loss_larger(loss: str) -> None:
    temperature, target, teacher = LearnedTemperature(1.0, 9.0), torch.randn(8, 4), 3 * torch.randn(8, 4)
    optimizer = torch.optim.SGD(temperature.parameters(), lr=0.01)
    before = LOSSES[loss](target, teacher, temperature=temperature(1.0))
    before.backward()
    optimizer.step()
    assert LOSSES[loss](target, teacher, temperature=temperature(1.0)) > before


def test_square_differences_do_not_move_it() -> None:
    temperature = LearnedTemperature(1.0, 9.0)
    LOSSES["mse"](torch.randn(8, 4), torch.randn(8, 4), temperature=temperature(1.0)).backward()
    assert temperature.level.grad is not None
    assert temperature.level.grad.abs().item() < 1e-5


@pytest.mark.parametrize(("progress", "strength"), [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.7, 1.0)])
def test_strength_by_hand(progress: float, strength: float) -> None:
    assert reversal_strength(progress) == pytest.approx(strength)


def test_a_bound_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        LearnedTemperature(0.0, 4.0)
