"""A listener in a thread of its own, so that trials never wait for a server."""

from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from threading import Thread

from tdmr_ray.records import TrialRecord
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import TrialSpec

PATIENCE_S = 120.0
"""Longest wait at the end of a search for what is still to be sent."""


class Background(Listener):
    """Passes events to a listener in another thread, in their order; `working` is left out.

    The listener gets no event after one at which it failed. The failure is raised by the next event here.

    Args:
        listener: The listener.
        patience_s: Longest wait for it after the last event.
    """

    def __init__(self, listener: Listener, patience_s: float = PATIENCE_S) -> None:
        self.listener, self.patience_s = listener, patience_s
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._failure: Exception | None = None
        self._thread = Thread(target=self._work, name=f"listener {listener.label}", daemon=True)

    @property
    def label(self) -> str:
        """Name in messages."""
        return self.listener.label

    def search_begun(self, search: SearchInfo) -> None:
        """See `Listener`."""
        self._thread.start()
        self._pass(partial(self.listener.search_begun, search))

    def started(self, spec: TrialSpec) -> None:
        """See `Listener`."""
        self._pass(partial(self.listener.started, spec))

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """See `Listener`."""
        self._pass(partial(self.listener.epoch_ended, spec, dict(metrics)))

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """See `Listener`."""
        self._pass(partial(self.listener.continued, spec, record.model_copy(deep=True)))

    def lost(self, spec: TrialSpec, reason: str) -> None:
        """See `Listener`."""
        self._pass(partial(self.listener.lost, spec, reason))

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """See `Listener`."""
        self._pass(partial(self.listener.ended, spec, record.model_copy(deep=True)))

    def search_reported(self, *, interrupted: bool) -> None:
        """Pass the last event, and wait until the listener has had every event.

        Raises:
            TimeoutError: If that takes too long.
        """
        self._pass(partial(self.listener.search_reported, interrupted=interrupted))
        self._waiting.put(None)
        self._thread.join(self.patience_s)
        self._raise_failure()
        if self._thread.is_alive():
            raise TimeoutError(f"it is not ready {self.patience_s:g} s after the end of the search")

    def _pass(self, event: Callable[[], None]) -> None:
        self._raise_failure()
        self._waiting.put(event)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while (event := self._waiting.get()) is not None:
                event()
        except Exception as error:  # noqa: BLE001  # raised again in the thread of the search
            self._failure = error
