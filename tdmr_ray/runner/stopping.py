"""Conditions that end a phase of a search before its trials are done."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from ray import tune

from tdmr_ray.runner.events import StopFlag


class StopCondition(Protocol):
    """Something that can end a phase before its trials are done; running trials can be continued later."""

    @property
    def should_stop(self) -> bool:
        """Whether it is time to end the phase."""


class Interrupt:
    """Stop condition for Ctrl-C, which lets trials end in order; a second Ctrl-C is Python's own."""

    def __init__(self) -> None:
        self.should_stop = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        self.should_stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catch SIGINT and SIGTERM for the duration; only Python's main thread can."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class CheckStopConditions(tune.Callback):
    """Sets the flag once a step, so that all who look at it during the step see the same.

    Args:
        conditions: The conditions.
        flag: The flag.
    """

    def __init__(self, conditions: tuple[StopCondition, ...], flag: StopFlag) -> None:
        self.conditions, self.flag = conditions, flag

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look at the conditions; called by Tune."""
        self.flag.is_set = self.flag.is_set or any(condition.should_stop for condition in self.conditions)


class StopWhenFlagged(tune.Stopper):
    """Ends all of Tune's trials once the flag is set."""

    def __init__(self, flag: StopFlag) -> None:
        self.flag = flag

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a trial is to be stopped; called by Tune."""
        return self.flag.is_set

    def stop_all(self) -> bool:
        """Whether all trials are to be stopped; called by Tune."""
        return self.flag.is_set
