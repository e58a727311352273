"""What the processes of a search are doing: workers tell a named actor, and the driver asks it."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

TELL_EVERY_S = 1.0
"""Shortest interval at which a process tells what it does."""
MAX_AGE_S = 3600.0
"""Age beyond which an entry was certainly left by a process that died."""


class Activities(Protocol):
    """What trials are doing."""

    def tell(self, trial: str, text: str) -> None:
        """Note what a trial's process does; '' for nothing any more."""

    def read(self) -> dict[str, str]:
        """Return what is being done, by the trial's id."""


class ActivityTable:
    """Table of what trials are doing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, str]] = {}

    def tell(self, trial: str, text: str) -> None:
        """See `Activities`."""
        self._entries.pop(trial, None)
        if text:
            self._entries[trial] = self._clock(), text

    def read(self) -> dict[str, str]:
        """See `Activities`."""
        oldest = self._clock() - MAX_AGE_S
        self._entries = {trial: entry for trial, entry in self._entries.items() if entry[0] >= oldest}
        return {trial: text for trial, (_, text) in self._entries.items()}


class ClusterActivities:
    """The table of the running Ray, in an actor; a lost or busy actor costs nothing but the news.

    Args:
        actor: Handle of an actor with an `ActivityTable`'s methods.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def tell(self, trial: str, text: str) -> None:
        """See `Activities`; does not wait."""
        with suppress(Exception):  # Ray raises many kinds when a part of it has died; its watch notices that
            self._actor.tell.remote(trial, text)

    def read(self) -> dict[str, str]:
        """See `Activities`; {} if the actor does not answer at once."""
        import ray

        found: dict[str, str] = {}
        with suppress(Exception):
            found = ray.get(self._actor.read.remote(), timeout=1.0)
        return found


class Teller:
    """Watcher that tells a table what a trial does, at most once in `TELL_EVERY_S`.

    Args:
        activities: The table.
        trial: The trial's id.
    """

    def __init__(self, activities: Activities, trial: str) -> None:
        self.activities, self.trial = activities, trial
        self._told = float("-inf")

    def __call__(self, text: str) -> None:
        """Tell the table, unless it was told just now."""
        now = time.monotonic()
        if now - self._told >= TELL_EVERY_S:
            self._told = now
            self.activities.tell(self.trial, text)

    def stop(self) -> None:
        """Tell that the trial does nothing any more."""
        self.activities.tell(self.trial, "")
