"""Callbacks that the driver tells of the progress of trials."""

from tdmr_ray.records import TrialRecord
from tdmr_ray.tuning.trial_spec import TrialSpec


class Listener:
    """Somebody who wants to know how trials go, and says of what; called on the driver."""

    def started(self, spec: TrialSpec) -> None:
        """A process works on a spec."""

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """An epoch of a spec is over."""

    def goes_on(self, spec: TrialSpec, record: TrialRecord) -> None:
        """A spec was not stopped after its last epoch; its record so far."""

    def lost(self, spec: TrialSpec, reason: str) -> None:
        """A spec's process died; it will be started again."""

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """A spec is over."""
