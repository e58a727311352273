"""What this process is doing at the moment, for whoever watches it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str], object]
"""Receives a phrase such as `epoch 3 of 20, batch 5 of 12`; called for every batch, so it must be cheap."""


def _ignore(text: str) -> None:
    """Nobody watches."""


_watcher: ContextVar[Watcher] = ContextVar("watcher", default=_ignore)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Pass what `doing` says to a watcher for the duration."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def doing(text: str) -> None:
    """Say what begins now."""
    _watcher.get()(text)
