"""Callbacks for the progress of trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tdmr_ray.records import TrialRecord
from tdmr_ray.tuning.trial_spec import TrialSpec


@dataclass(frozen=True)
class SearchInfo:
    """A search that begins.

    Attributes:
        name: Name of the search in its space file.
        root: The output directory.
        objective: Metric by which everything is chosen, such as `val/top1`.
        space: The space file with all overrides and without defaults.
        records: Trials of an earlier run, if the search continues.
    """

    name: str
    root: Path
    objective: str
    space: Mapping[str, Any]
    records: tuple[TrialRecord, ...] = ()


class Listener:
    """Receives the events of a search, in the driver process; each method may be overridden and does nothing."""

    @property
    def label(self) -> str:
        """Name in messages."""
        return type(self).__name__

    def search_begun(self, search: SearchInfo) -> None:
        """The search begins or continues; the first event."""

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

    def search_reported(self, *, interrupted: bool) -> None:
        """The report is in the output directory; the last event, unless the search fails or is stopped at once."""
