"""The seam for search backends: a source hands out trials and learns their results."""

from collections.abc import Sequence
from typing import Protocol

from tdmr_ray.records import TrialRecord
from tdmr_ray.tuning.trial_spec import TrialSpec


class TrialSource(Protocol):
    """A search backend, as the runner uses it; `PairStudies` implements it with Optuna, `Queue` with a fixed list.

    The runner calls `next_spec` when a slot is free and `tell` when a trial has ended, both in the driver process.
    Trials may end in another order than they were handed out.
    """

    @property
    def exhausted(self) -> bool:
        """Whether no further spec will come."""

    @property
    def num_left(self) -> int:
        """The number of specs still to be handed out, for progress reports."""

    def next_spec(self) -> TrialSpec | None:
        """Hand out the next spec; None if there is none at the moment."""

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Report the result of a spec."""


class Queue:
    """A fixed list of specs, handed out in order; results do not change it."""

    def __init__(self, specs: Sequence[TrialSpec]) -> None:
        self._specs = list(reversed(specs))

    @property
    def exhausted(self) -> bool:
        """Whether all specs are handed out."""
        return not self._specs

    @property
    def num_left(self) -> int:
        """The number of specs that are not handed out yet."""
        return len(self._specs)

    def next_spec(self) -> TrialSpec | None:
        """Hand out the next spec."""
        return self._specs.pop() if self._specs else None

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Ignore the result."""
