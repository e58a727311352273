"""Sources one after another, so that processes that are warm stay in use from one phase to the next."""

from collections.abc import Iterator

from tdmr_ray.records import TrialRecord
from tdmr_ray.tuning.trial_source import TrialSource
from tdmr_ray.tuning.trial_spec import TrialSpec


class Chain:
    """A source that hands out the trials of other sources, each once all trials of the one before have ended.

    Args:
        sources: Drawn when the source before is done, so that a source may depend on the results before it.
    """

    def __init__(self, sources: Iterator[TrialSource]) -> None:
        self._sources = sources
        self._running: set[str] = set()
        self._current = next(sources, None)

    @property
    def exhausted(self) -> bool:
        """Whether the last source is done."""
        return self._current is None

    @property
    def num_left(self) -> int:
        """The number of specs that the current source still hands out."""
        return 0 if self._current is None else self._current.num_left

    def next_spec(self) -> TrialSpec | None:
        """Hand out the next spec; None if the current source has none at the moment, or after the last one."""
        while self._current is not None:
            spec = self._current.next_spec()
            if spec is not None:
                self._running.add(spec.id)
                return spec
            if self._running or not self._current.exhausted:
                return None
            self._current = next(self._sources, None)
        return None

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Report a result to the source of the spec."""
        self._running.discard(spec.id)
        if self._current is not None:
            self._current.tell(spec, record)

    def skip(self) -> None:
        """Leave the current source and its running trials, and go on to the next one."""
        self._running.clear()
        self._current = next(self._sources, None)
