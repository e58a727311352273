"""The learned temperature keeps its bounds, starts as in its paper, and climbs the loss that the target descends."""

import pytest
import torch

from tdmr_ray.method.losses import LOSSES
from tdmr_ray.method.schedules import LearnedSchedule, Moment
from tdmr_ray.method.schedules.learned import reversal_strength

END = Moment(1.0)


def learned(start: float = 1.0, end: float = 9.0) -> LearnedSchedule:
    return LearnedSchedule(LearnedSchedule.Config(start=start, end=end))


def test_temperature_starts_at_73_percent_of_the_way() -> None:
    assert learned(1.0, 21.0)(END).item() == pytest.approx(1 + 20 * 0.731, abs=0.01)


def test_planned_temperature_is_a_line_between_the_bounds() -> None:
    assert [learned().planned(Moment(progress)) for progress in (0.0, 0.25, 1.0)] == [1.0, 3.0, 9.0]


@pytest.mark.parametrize(("start", "end"), [(1.0, 8.0), (8.0, 1.0), (2.0, 2.0)])
@pytest.mark.parametrize("level", [-50.0, 0.0, 50.0])
def test_temperature_stays_within_its_bounds(start: float, end: float, level: float) -> None:
    schedule = learned(start, end)
    torch.nn.init.constant_(schedule.level, level)
    assert min(start, end) <= schedule(END).item() <= max(start, end)


@pytest.mark.parametrize(("progress", "strength"), [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (1.0, 1.0)])
def test_gradient_is_reversed_at_the_strength_of_the_moment(progress: float, strength: float) -> None:
    schedule = learned(1.0, 5.0)
    schedule(Moment(progress)).backward()
    at_start = torch.sigmoid(torch.tensor(1.0))
    slope = 4 * at_start * (1 - at_start)
    assert schedule.level.grad is not None
    assert schedule.level.grad.item() == pytest.approx(-strength * slope.item())


@pytest.mark.parametrize("kind", ["kl", "dkd", "dist"])
def test_step_on_the_temperature_makes_the_loss_larger(kind: str) -> None:
    loss, schedule = LOSSES[kind](LOSSES[kind].Config()), learned()
    target, teacher = torch.randn(8, 4), 3 * torch.randn(8, 4)
    optimizer = torch.optim.SGD(schedule.parameters(), lr=0.01)
    before = loss(target, teacher, schedule(END))
    before.backward()
    optimizer.step()
    assert loss(target, teacher, schedule(END)) > before


def test_mse_does_not_move_the_temperature() -> None:
    loss, schedule = LOSSES["mse"](LOSSES["mse"].Config()), learned()
    loss(torch.randn(8, 4), torch.randn(8, 4), schedule(END)).backward()
    assert schedule.level.grad is not None
    assert schedule.level.grad.abs().item() < 1e-5


@pytest.mark.parametrize(
    ("progress", "share", "strength"),
    [(0.0, 0.1, 0.0), (0.05, 0.1, 0.5), (0.1, 0.1, 1.0), (0.7, 0.1, 1.0), (0.5, 1.0, 0.5)],
)
def test_reversal_strength_by_hand(progress: float, share: float, strength: float) -> None:
    assert reversal_strength(progress, share) == pytest.approx(strength)
