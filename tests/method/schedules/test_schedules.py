"""Every temperature schedule stays within its bounds and moves one way; values at the ends and between by hand."""

import pytest
import torch
from helpers.contracts import contract_of
from pydantic import ValidationError

from tdmr_ray.method.schedules import SCHEDULES, Moment, Schedule
from tdmr_ray.testing import ScheduleContract, check_groups

FIXED = [kind for kind in SCHEDULES if kind != "learned"]


@contract_of(SCHEDULES, {"start": 8.0})
class TestContract(ScheduleContract):
    pass


def build(kind: str, start: float = 8.0, end: float = 2.0) -> Schedule:
    """Build a schedule; the end counts for kinds that have one."""
    values = {"start": start, "end": end}
    config = SCHEDULES[kind].Config
    return SCHEDULES[kind](config(**{name: value for name, value in values.items() if name in config.model_fields}))


@pytest.mark.parametrize(
    ("kind", "middle", "end"),
    [("constant", 8.0, 8.0), ("linear", 5.0, 2.0), ("cosine", 5.0, 2.0), ("exponential", 4.0, 2.0)],
)
def test_values_by_hand(kind: str, middle: float, end: float) -> None:
    schedule = build(kind)
    values = [float(schedule(Moment(progress))) for progress in (0.0, 0.5, 1.0)]
    assert values == pytest.approx([8.0, middle, end])


def test_cosine_is_slow_at_both_ends() -> None:
    cosine, linear = build("cosine"), build("linear")
    assert cosine(Moment(0.1)) > linear(Moment(0.1))
    assert cosine(Moment(0.9)) < linear(Moment(0.9))


@pytest.mark.parametrize(
    ("num_stages", "expected"), [(1, [8.0]), (2, [8.0, 2.0]), (3, [8.0, 5.0, 2.0]), (4, [8.0, 6.0, 4.0, 2.0])]
)
@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_step_has_one_temperature_for_each_stage(num_stages: int, expected: list[float], progress: float) -> None:
    schedule = build("step")
    assert [schedule(Moment(progress, stage, num_stages)) for stage in range(num_stages)] == pytest.approx(expected)


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize(("start", "end"), [(8.0, 1.0), (1.0, 4.0), (2.0, 2.0)])
def test_temperatures_stay_within_bounds_and_move_one_way(kind: str, start: float, end: float) -> None:
    schedule = build(kind, start, end)
    for temperature_at in (schedule, schedule.planned):
        values = [
            float(torch.as_tensor(temperature_at(Moment(step / 20, step // 7, 3))).detach()) for step in range(21)
        ]
        assert min(start, end) - 1e-6 <= min(values) <= max(values) <= max(start, end) + 1e-6
        assert values in (sorted(values), sorted(values, reverse=True))


@pytest.mark.parametrize("kind", FIXED)
def test_planned_temperature_is_the_temperature_of_a_schedule_without_parameters(kind: str) -> None:
    schedule, moment = build(kind), Moment(0.4, 1, 3)
    assert schedule.planned(moment) == schedule(moment)
    assert isinstance(schedule.planned(moment), float)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_parameter_groups_hold_every_parameter_without_decay(kind: str) -> None:
    schedule = build(kind)
    groups = schedule.parameter_groups(lr=0.3)
    check_groups(groups, schedule)
    assert {(group.lr, group.weight_decay) for group in groups} <= {(0.3, 0.0)}


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_out_of_range_is_refused(progress: float) -> None:
    with pytest.raises(ValueError, match=f"0 <= progress <= 1 must hold, but got {progress}"):
        Moment(progress)


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("bound", ["start", "end"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_temperatures_must_be_positive(kind: str, bound: str, value: float) -> None:
    expected = "Extra inputs are not permitted" if (kind, bound) == ("constant", "end") else "greater than 0"
    with pytest.raises(ValidationError, match=expected):
        SCHEDULES[kind].Config.model_validate({bound: value})
