"""A store whose directories are each made by one process of the cluster."""

import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

from tdmr_ray.runner.leases import Leases, renewed
from tdmr_ray.store import Store
from tdmr_ray.training.activity import doing

POLL_S = 0.2
"""Interval at which a process that waits for another one looks into the store."""


class SharedStore:
    """A store for the processes of a cluster: the first that needs a directory makes it, the others wait for it.

    Args:
        store: The store of this machine.
        leases: Decide which process makes a directory.

    Attributes:
        waited_s: Total seconds of waiting for other processes.
        kept: Holds on directories that stay in use as long as this process lives.
    """

    def __init__(self, store: Store, leases: Leases) -> None:
        self.store, self.leases = store, leases
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.waited_s, self.kept = 0.0, ExitStack()

    def obtain(self, key: str, make: Callable[[str], Path]) -> tuple[Path, bool]:
        """Return the directory with this key, and whether it existed or another process made it.

        Args:
            key: Key of the directory.
            make: Adds the directory to the store and returns its path; called if no other process has made it.
        """
        started = perf_counter()
        while True:
            found = self.store.find(key)
            if found is not None:
                self.waited_s += perf_counter() - started
                return found, True
            if self.leases.take(key, self.holder):
                break
            doing("waiting for another process that makes what this one needs")
            time.sleep(POLL_S)
        self.waited_s += perf_counter() - started
        with renewed(self.leases, key, self.holder):
            found = self.store.find(key)
            return (found, True) if found else (make(key), False)
