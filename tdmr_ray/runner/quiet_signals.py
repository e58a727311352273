"""Ray and signals: it replaces the handlers of its caller, and its processes get what is sent to the caller's group."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tdmr_ray.runner.interrupt import SIGNALS

OWN_GROUP: ContextVar[bool] = ContextVar("OWN_GROUP", default=False)
"""Whether processes that start now get a group of their own."""


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Keep the handlers of signals during a call that would replace them, as `ray.init` does.

    A handler that is only put back afterwards leaves a moment in which a signal is lost: Ray's own one raises
    SystemExit wherever the main thread is, also where Python ignores exceptions.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, install = {number: signal.getsignal(number) for number in SIGNALS}, signal.signal

    def install_others(number: int, handler: Any) -> Any:
        return signal.getsignal(number) if number in SIGNALS else install(number, handler)

    signal.signal = install_others  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = install
        for number, handler in before.items():
            if handler is not None:  # a handler that is not Python's
                signal.signal(number, handler)


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
