"""Ray and signals: it replaces the handlers of its caller, and its processes get what is sent to the caller's group."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

from tdmr_ray.runner.interrupt import SIGNALS

OWN_GROUP: ContextVar[bool] = ContextVar("OWN_GROUP", default=False)
"""Whether processes that start now get a group of their own."""


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Keep the handlers of signals during a call that would replace them, as `ray.init` does; they run after it.

    A handler that raises cannot run meanwhile: Ray forks, and Python ignores exceptions in the hooks of forks, so that
    the signal would be lost. A second Ctrl-C does not wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    install = signal.signal
    handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    waiting: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)
        if len(waiting) > 1 and number == signal.SIGINT:
            handlers[signal.SIGINT](number, frame)

    def install_others(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if number in SIGNALS else install(number, handler)

    for number in handlers:
        install(number, note)
    signal.signal = install_others  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = install
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            handlers[signal.Signals(waiting[0])](waiting[0], None)


@contextmanager
def children_in_own_group() -> Iterator[None]:
    """Give processes that start meanwhile groups of their own.

    Ctrl-C, a lost terminal and `timeout` signal the whole group; trials could not end in order without Ray. Its
    processes die with their parent all the same. Python runs hooks of forks where `Popen` has a `preexec_fn`, and
    Ray's has one.
    """
    token = OWN_GROUP.set(True)
    try:
        yield
    finally:
        OWN_GROUP.reset(token)


def _leave_group() -> None:
    if OWN_GROUP.get():
        os.setpgid(0, 0)


os.register_at_fork(after_in_child=_leave_group)
