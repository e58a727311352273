"""Callbacks for the progress of trials."""

from collections.abc import Sequence

from tdmr_ray.records import TrialRecord
from tdmr_ray.tuning.trial_spec import TrialSpec


class Listener:
    """Receives the events of every trial, in the driver process; each method may be overridden and does nothing."""

    def started(self, spec: TrialSpec) -> None:
        """A process starts to work on a trial."""

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """A trial has completed an epoch."""

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """A trial was not stopped after its last epoch; `record` holds its results so far."""

    def working(self, doing: Sequence[tuple[TrialSpec, str]]) -> None:
        """What each running process does, about every two seconds; also a process that only makes a teacher."""

    def lost(self, spec: TrialSpec, reason: str) -> None:
        """A trial's process has died; the trial will be restarted."""

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """A trial has ended."""
