"""Signals that end a search: Ctrl-C, SIGTERM (Slurm, Docker, Kubernetes, a spot notice) and SIGHUP (a lost terminal).

While trials run, the first signal lets them end in order, within a grace period. Before, nothing needs an order, and a
signal ends the process at once. What is written afterwards is not cut.
"""

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

from tdmr_ray.terminal import leave_lost_output

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""Exit status after a signal."""
GRACE_S = 25.0
"""Default grace period; Kubernetes sends SIGKILL after 30 s, most batch systems later."""
LEAVING_S = 10.0
"""Time to leave after the grace period or a second Ctrl-C; a dead Ray can block the main thread for a minute."""
ANNOUNCED_S = 2.0
"""Time for the last announcement, which a paused terminal does not take."""


class StopNow(KeyboardInterrupt):
    """The process ends at once; its text says how to go on."""


class Interrupt:
    """Handler of signals, and the stop condition that they set.

    Args:
        grace_s: Seconds for running trials to complete their epoch.
        announce: Receives what is said in answer to a signal, in another thread: a handler must not print itself.
        advice: Returns the text of `StopNow`.

    Attributes:
        should_stop: Whether a signal has come.
    """

    def __init__(
        self,
        grace_s: float = GRACE_S,
        announce: Callable[[str], object] = lambda text: None,
        advice: Callable[[], str] = str,
    ) -> None:
        self.grace_s, self.announce, self.advice = grace_s, announce, advice
        self.should_stop = False
        self._phase: Literal["at once", "in order", "uncut"] = "at once"
        self._texts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._limits: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal.

        Raises:
            StopNow: Where nothing can end in order, for a second Ctrl-C, and at the end of the grace period.
        """
        if number == signal.SIGHUP:
            leave_lost_output()
        first, self.should_stop = not self.should_stop, True
        if self._phase == "uncut":
            self._texts.put("the report is being written; one moment")
        elif first and self._phase == "in order" and self.grace_s > 0:
            signal.setitimer(signal.ITIMER_REAL, self.grace_s)
            self._limits.put(self.grace_s + LEAVING_S)
            name = "" if number == signal.SIGINT else f"{signal.Signals(number).name}: "
            self._texts.put(f"{name}ending, within {self.grace_s:g} s; press Ctrl-C again to stop now")
        elif first or number in (signal.SIGINT, signal.SIGALRM):  # `timeout` and others send SIGTERM twice
            self._limits.put(LEAVING_S)
            raise StopNow(self.advice())

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Let the first signal only set `should_stop`, until the grace period is over; let none cut what follows."""
        self._phase = "in order"
        try:
            yield
        except BaseException:
            self._phase = "at once"
            raise
        finally:
            if self.should_stop:
                signal.setitimer(signal.ITIMER_REAL, 0)
        self._phase = "uncut"
        self._limits.put(threading.TIMEOUT_MAX)

    def all_is_written(self) -> None:
        """Let signals end the process again."""
        self._phase = "at once"

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Run the two threads that do what a handler must not do."""
        threads = [threading.Thread(target=work, daemon=True) for work in (self._announce, self._leave_in_time)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._texts.put(None)
            self._limits.put(None)
            for thread in threads:
                thread.join(ANNOUNCED_S)

    def _announce(self) -> None:
        while (text := self._texts.get()) is not None:
            with contextlib.suppress(Exception):
                self.announce(text)

    def _leave_in_time(self) -> None:
        """End the process, also if its main thread does not answer."""
        limit: float | None = threading.TIMEOUT_MAX
        while limit is not None:
            try:
                limit = self._limits.get(timeout=limit)
            except queue.Empty:
                with contextlib.suppress(OSError):
                    os.write(2, f"{self.advice()}\n".encode(errors="replace"))
                os._exit(INTERRUPTED)


@contextmanager
def interruptible(
    grace_s: float = GRACE_S,
    announce: Callable[[str], object] = lambda text: None,
    advice: Callable[[], str] = str,
) -> Iterator[Interrupt]:
    """Handle signals for the duration; only Python's main thread can. SIGHUP stays ignored under `nohup`.

    Args:
        grace_s: See `Interrupt`.
        announce: See `Interrupt`.
        advice: See `Interrupt`.

    Raises:
        StopNow: If a signal ends everything at once.
    """
    interrupt = Interrupt(grace_s, announce, advice)
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    numbers = [each for each in SIGNALS if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in (*numbers, signal.SIGALRM)}
    try:
        with interrupt.answering():
            yield interrupt
    except KeyboardInterrupt:  # Ray replaces what a handler raises while it waits
        raise StopNow(advice()) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
