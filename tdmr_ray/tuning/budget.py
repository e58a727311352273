"""Limits of a search besides its number of trials: time, GPU-hours, money. The first limit reached ends the search.

Time counts from the start of this process. GPU-hours and money count all trials in the ledger, so that a resumed
search continues the count.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tdmr_ray.durations import pretty_seconds
from tdmr_ray.prices import load_prices
from tdmr_ray.records import TrialRecord
from tdmr_ray.space import Budget
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_spec import TrialSpec


@dataclass
class Meter(Listener):
    """Listener that adds up the cost of trials and reports which limit is reached.

    Attributes:
        budget: Limits.
        reserve_s: Seconds of `budget.time` that are reserved for the confirmation.
        clock: Current time in seconds.
        hours: CPU-hours and GPU-hours of each trial, by id.
    """

    budget: Budget
    reserve_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    hours: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    def count(self, records: Iterable[TrialRecord]) -> None:
        """Add the cost of trials; a later record of the same trial replaces an earlier one."""
        for record in records:
            self.hours[record.id] = (record.cpu_hours, record.gpu_hours)

    @property
    def should_stop(self) -> bool:
        """Whether a limit is reached."""
        return bool(self.reason)

    @property
    def reason(self) -> str:
        """The limit that is reached; '' if none."""
        budget = self.budget
        if budget.time is not None and self._elapsed() >= self._search_time(budget.time):
            return f"budget.time of {pretty_seconds(budget.time)} is used up"
        if budget.gpu_hours is not None and self._gpu_hours() >= budget.gpu_hours:
            return f"budget.gpu_hours of {budget.gpu_hours:g} are used up"
        if budget.usd is not None and self._usd() >= budget.usd:
            return f"budget.usd of {budget.usd:g} is used up"
        return ""

    def summary(self) -> str:
        """The amounts spent and their limits; '' without limits."""
        budget, parts = self.budget, []
        if budget.time is not None:
            limit = pretty_seconds(self._search_time(budget.time))
            parts.append(f"{pretty_seconds(self._elapsed())} of {limit}")
        if budget.gpu_hours is not None:
            parts.append(f"{self._gpu_hours():.2f} of {budget.gpu_hours:g} GPU-hours")
        if budget.usd is not None:
            parts.append(f"{self._usd():.2f} of {budget.usd:g} USD")
        return ", ".join(parts)

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Count the cost of the trial so far, in the search."""
        self._count_search(record)

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Count the cost of the trial, in the search."""
        self._count_search(record)

    def _count_search(self, record: TrialRecord) -> None:
        if record.phase == "search":
            self.count([record])

    def _elapsed(self) -> float:
        return self.clock() - self.begun

    def _search_time(self, whole: float) -> float:
        """`budget.time` without the reserve for the confirmation, but at least half of it."""
        return max(whole - self.reserve_s, whole / 2)

    def _gpu_hours(self) -> float:
        return sum(gpu for _, gpu in self.hours.values())

    def _usd(self) -> float:
        prices = load_prices()
        return sum(prices.usd(cpu, gpu) for cpu, gpu in self.hours.values())
