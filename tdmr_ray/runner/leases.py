"""Leases on things that one process makes for the whole cluster, handed out by a named actor.

A holder renews its lease while it works, so that the lease of a dead holder expires.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from tdmr_ray.runner.periodic import periodic_task

EXPIRES_S = 15.0


class Leases(Protocol):
    """Decides which process may make what."""

    def take(self, key: str, holder: str) -> bool:
        """Return whether the holder now has the lease on a key; a holder that takes it again renews it."""

    def give_back(self, key: str, holder: str) -> None:
        """End the holder's lease."""


class LeaseTable:
    """Table of leases.

    Args:
        expires_s: Seconds after which a lease expires unless it is renewed.
        clock: Returns seconds.
    """

    def __init__(self, expires_s: float = EXPIRES_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._expires_s, self._clock = expires_s, clock
        self._leases: dict[str, tuple[str, float]] = {}

    def take(self, key: str, holder: str) -> bool:
        """See `Leases`."""
        now = self._clock()
        other, until = self._leases.get(key, (holder, now))
        if other != holder and now < until:
            return False
        self._leases[key] = (holder, now + self._expires_s)
        return True

    def give_back(self, key: str, holder: str) -> None:
        """See `Leases`."""
        if self._leases.get(key, ("", 0.0))[0] == holder:
            del self._leases[key]


class ClusterLeases:
    """Leases of the running Ray, in an actor.

    Args:
        actor: Handle of an actor with a `LeaseTable`'s methods.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def take(self, key: str, holder: str) -> bool:
        """See `Leases`; True if the actor does not answer."""
        import ray

        try:
            return bool(ray.get(self._actor.take.remote(key, holder), timeout=EXPIRES_S))
        except ray.exceptions.RayError:
            return True

    def give_back(self, key: str, holder: str) -> None:
        """See `Leases`."""
        self._actor.give_back.remote(key, holder)


@contextmanager
def renewed(leases: Leases, key: str, holder: str, every_s: float = EXPIRES_S / 3) -> Iterator[None]:
    """Renew a lease for the duration, then return it."""
    try:
        with periodic_task(partial(leases.take, key, holder), every_s):
            yield
    finally:
        leases.give_back(key, holder)
