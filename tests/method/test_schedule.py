"""Temperature schedules: their ends, their middle, their direction."""

import pytest
from tdmr_ray.method.schedule import SCHEDULES, temperature_at

MOVING = [kind for kind in SCHEDULES if kind not in ("constant", "step")]


@pytest.mark.parametrize(
    ("kind", "middle"), [("constant", 8.0), ("linear", 5.0), ("cosine", 5.0), ("exponential", 4.0)]
)
def test_values_by_hand(kind: str, middle: float) -> None:
    assert temperature_at(kind, 0.0, start=8.0, end=2.0) == pytest.approx(8.0)
    assert temperature_at(kind, 0.5, start=8.0, end=2.0) == pytest.approx(middle)
    end = 8.0 if kind == "constant" else 2.0
    assert temperature_at(kind, 1.0, start=8.0, end=end) == pytest.approx(end)


def test_cosine_is_slow_at_both_ends() -> None:
    assert temperature_at("cosine", 0.1, start=8, end=2) > temperature_at("linear", 0.1, start=8, end=2)
    assert temperature_at("cosine", 0.9, start=8, end=2) < temperature_at("linear", 0.9, start=8, end=2)


@pytest.mark.parametrize("num_stages", [1, 2, 3, 4])
def test_step_holds_through_a_stage(num_stages: int) -> None:
    values = [
        temperature_at("step", 0.3, start=8.0, end=2.0, stage=stage, num_stages=num_stages)
        for stage in range(num_stages)
    ]
    jump = -6.0 / max(1, num_stages - 1)
    assert values == pytest.approx([8.0 + jump * stage for stage in range(num_stages)])


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize(("start", "end"), [(8.0, 1.0), (1.0, 4.0), (2.0, 2.0)])
def test_contract_of_every_schedule(kind: str, start: float, end: float) -> None:
    values = [temperature_at(kind, step / 20, start=start, end=end) for step in range(21)]
    assert min(start, end) - 1e-9 <= min(values) <= max(values) <= max(start, end) + 1e-9
    assert values in (sorted(values), sorted(values, reverse=True))


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize(("progress", "start", "end"), [(-0.1, 1, 1), (1.1, 1, 1), (0.5, 0, 1), (0.5, 1, -1)])
def test_out_of_range_is_refused(kind: str, progress: float, start: float, end: float) -> None:
    with pytest.raises(ValueError, match="but got"):
        temperature_at(kind, progress, start=start, end=end)
