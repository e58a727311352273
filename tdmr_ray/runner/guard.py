"""What a search can do without: a display, TensorBoard or a user's listener that fails is left out."""

import contextlib
import traceback
from collections.abc import Callable, Sequence
from functools import partial

from tdmr_ray.records import TrialRecord
from tdmr_ray.runner.failure import innermost_frame, write_traceback
from tdmr_ray.storage import StoragePath
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import TrialSpec


class Guard:
    """Calls a part of the program until it fails for the first time, which is reported.

    Args:
        name: Name of the part in the report.
        on_message: Receives the report.
        file: File for the traceback.
    """

    def __init__(self, name: str, on_message: Callable[[str], object], file: StoragePath) -> None:
        self.name, self.on_message, self.file, self.has_failed = name, on_message, file, False

    def __call__(self, action: Callable[..., object], *args: object) -> None:
        """Call, unless the part has failed before."""
        if self.has_failed:
            return
        try:
            action(*args)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is not worth a search
            self.has_failed = True
            written = write_traceback("".join(traceback.format_exception(error)), self.file)
            reason = " ".join(str(error).split())
            text = f"{self.name} failed and is left out: {type(error).__name__}: {reason}"
            with contextlib.suppress(Exception):
                self.on_message(f"{text} ({innermost_frame(error)}{written})")


class GuardedListener(Listener):
    """Listener that passes events to another one until that fails.

    Args:
        listener: The other one.
        guard: Its guard.
    """

    def __init__(self, listener: Listener, guard: Guard) -> None:
        self.listener, self.guard = listener, guard

    def search_begun(self, search: SearchInfo) -> None:
        """See `Listener`."""
        self.guard(self.listener.search_begun, search)

    def started(self, spec: TrialSpec) -> None:
        """See `Listener`."""
        self.guard(self.listener.started, spec)

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """See `Listener`."""
        self.guard(self.listener.epoch_ended, spec, metrics)

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """See `Listener`."""
        self.guard(self.listener.continued, spec, record)

    def working(self, doing: Sequence[tuple[TrialSpec, str]]) -> None:
        """See `Listener`."""
        self.guard(self.listener.working, doing)

    def lost(self, spec: TrialSpec, reason: str) -> None:
        """See `Listener`."""
        self.guard(self.listener.lost, spec, reason)

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """See `Listener`."""
        self.guard(self.listener.ended, spec, record)

    def search_reported(self, *, interrupted: bool) -> None:
        """See `Listener`."""
        self.guard(partial(self.listener.search_reported, interrupted=interrupted))
