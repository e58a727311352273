"""A store whose directories are each made by one process of the cluster."""

import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
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

    def obtain(
        self, key: str, make: Callable[[str], Path], meanwhile: Callable[[], object] | None = None
    ) -> tuple[Path, bool]:
        """Return the directory with this key, and whether it existed or another process made it.

        Args:
            key: Key of the directory.
            make: Adds the directory to the store and returns its path; called if no other process has made it.
            meanwhile: Called once if another process is making it, to do part of that process's work.
        """
        folders, made = self.obtain_all({key: make}, meanwhile)
        return folders[key], not made

    def obtain_all(
        self, makers: Mapping[str, Callable[[str], Path]], meanwhile: Callable[[], object] | None = None
    ) -> tuple[dict[str, Path], set[str]]:
        """Return directories by their keys, and the keys of those that this process made.

        Processes that need the same directories divide the work: each makes what no other one is making.

        Args:
            makers: For each key, what adds the directory to the store and returns its path.
            meanwhile: See `obtain`.
        """
        folders: dict[str, Path] = {}
        made: set[str] = set()
        while True:
            count = len(made)
            for key in [key for key in makers if key not in folders]:
                self._find_or_make(key, makers[key], folders, made)
            if len(folders) == len(makers):
                return folders, made
            if len(made) == count:
                started, before = perf_counter(), self.waited_s
                doing("waiting for another process that makes what this one needs")
                (meanwhile or partial(time.sleep, POLL_S))()
                meanwhile = None
                self.waited_s = before + perf_counter() - started

    def _find_or_make(self, key: str, make: Callable[[str], Path], folders: dict[str, Path], made: set[str]) -> None:
        """Add a directory to `folders`, and its key to `made` if it was made here, unless another process makes it."""
        found = self.store.find(key)
        if found is None:
            if not self.leases.take(key, self.holder):
                return
            with renewed(self.leases, key, self.holder):
                found = self.store.find(key)
                if found is None:
                    found = make(key)
                    made.add(key)
        folders[key] = found
