"""The clamp of learned values: its results are those of `torch.clamp`, and its gradient lets a value come back."""

import pytest
import torch

from tdmr_ray.method.clamp import clamp_keeping_way_back

VALUES = [-0.3, 0.0, 0.4, 1.0, 1.3]


def test_results_are_those_of_torch_clamp() -> None:
    values = 3 * torch.randn(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(clamp_keeping_way_back(values, -1, 2), values.clamp(-1, 2))


@pytest.mark.parametrize(
    ("gradient", "expected"),
    [
        (2.0, [0.0, 0.0, 2.0, 2.0, 2.0]),  # descent lowers the values: out at the lower bound, in at the upper one
        (-2.0, [-2.0, -2.0, -2.0, 0.0, 0.0]),
        (0.0, [0.0] * 5),
    ],
)
def test_gradient_passes_unless_descent_would_lead_outwards(gradient: float, expected: list[float]) -> None:
    values = torch.tensor(VALUES, requires_grad=True)
    (gradient * clamp_keeping_way_back(values, 0, 1)).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == expected


@pytest.mark.parametrize("start", VALUES)
@pytest.mark.parametrize("goal", [0.0, 0.25, 1.0])
def test_descent_from_anywhere_reaches_its_goal(start: float, goal: float) -> None:
    value = torch.tensor(start, requires_grad=True)
    for _ in range(60):
        loss = (clamp_keeping_way_back(value, 0, 1) - goal).square()
        (gradient,) = torch.autograd.grad(loss, value)
        value = (value - 0.2 * gradient).detach().requires_grad_()
    assert clamp_keeping_way_back(value, 0, 1).item() == pytest.approx(goal, abs=1e-3)


def test_gradient_between_the_bounds_is_exact() -> None:
    values = torch.rand(8, dtype=torch.float64).mul(0.8).add(0.1).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: clamp_keeping_way_back(given, 0.0, 1.0), values)
