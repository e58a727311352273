"""Limits of a search, with costs worked out by hand and a clock that the test sets."""

import pytest
from helpers.studies import build_space, record_of

from tdmr_ray.prices import Prices, load_prices
from tdmr_ray.records import TrialRecord
from tdmr_ray.space import Budget
from tdmr_ray.tuning.budget import Meter
from tdmr_ray.tuning.studies import PairStudies
from tdmr_ray.tuning.trial_spec import TrialSpec


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def spec() -> TrialSpec:
    found = PairStudies(build_space()).next_spec()
    assert found is not None
    return found


def costing(spec: TrialSpec, cpu_hours: float, gpu_hours: float) -> TrialRecord:
    return record_of(spec).model_copy(update={"cpu_hours": cpu_hours, "gpu_hours": gpu_hours})


@pytest.mark.parametrize(("reserve_s", "ends_at_s"), [(0.0, 60.0), (20.0, 40.0), (59.0, 30.0)])
def test_the_time_limit_leaves_the_reserve_for_the_confirmation(reserve_s: float, ends_at_s: float) -> None:
    clock = Clock()
    meter = Meter(Budget.model_validate({"time": "1m"}), reserve_s=reserve_s, clock=clock)
    clock.now = 100.0 + ends_at_s - 0.1
    assert not meter.should_stop
    clock.now = 100.0 + ends_at_s
    assert meter.should_stop
    assert meter.reason == "budget.time of 0:01:00 is used up"


def test_a_trial_counts_once_with_its_latest_cost(spec: TrialSpec) -> None:
    meter = Meter(Budget(gpu_hours=2.0))
    meter.continued(spec, costing(spec, 1.0, 1.0))
    meter.continued(spec, costing(spec, 1.5, 1.5))
    assert not meter.should_stop
    assert meter.summary() == "1.50 of 2 GPU-hours"
    meter.ended(spec, costing(spec, 2.0, 2.0))
    assert meter.reason == "budget.gpu_hours of 2 are used up"


def test_trials_of_an_earlier_part_of_the_search_count(spec: TrialSpec) -> None:
    meter = Meter(Budget(gpu_hours=2.0))
    meter.count([costing(spec, 0.0, 2.5)])
    assert meter.should_stop


def test_money_follows_the_price_table(spec: TrialSpec) -> None:
    prices = load_prices()
    meter = Meter(Budget(usd=10 * prices.cpu_core_hour))
    meter.ended(spec, costing(spec, 9.9, 0.0))
    assert not meter.should_stop
    meter.ended(spec, costing(spec, 10.1, 0.0))
    assert meter.should_stop


def test_the_price_of_a_gpu_includes_its_cpu_cores() -> None:
    prices = Prices.model_validate({"date": "2026-01-01", "source": "", "cpu_core_hour": 1.0, "gpu_hour": 10.0})
    assert prices.usd(4.0, 0.0) == 4.0
    assert prices.usd(4.0, 1.0) == 10.0


def test_without_limits_the_meter_neither_ends_the_search_nor_reports() -> None:
    meter = Meter(Budget(), clock=Clock())
    assert (meter.should_stop, meter.summary()) == (False, "")
