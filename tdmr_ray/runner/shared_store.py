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
            progress = False
            for key in [key for key in makers if key not in folders]:
                folder, is_new = self._find_or_make(key, makers[key])
                if folder is not None:
                    folders[key] = folder
                if is_new:
                    made.add(key)
                    progress = True
            if len(folders) == len(makers):
                return folders, made
            if not progress:
                self._wait(meanwhile or partial(time.sleep, POLL_S))
                meanwhile = None

    def _find_or_make(self, key: str, make: Callable[[str], Path]) -> tuple[Path | None, bool]:
        """Return a directory and whether it was made here; None if another process is making it."""
        found = self.store.find(key)
        if found is not None:
            return found, False
        if not self.leases.take(key, self.holder):
            return None, False
        with renewed(self.leases, key, self.holder):
            found = self.store.find(key)
            return (found, False) if found else (make(key), True)

    def _wait(self, meanwhile: Callable[[], object]) -> None:
        """Do something else, and count its time, waits within it included, once as waiting."""
        started, before = perf_counter(), self.waited_s
        doing("waiting for another process that makes what this one needs")
        meanwhile()
        self.waited_s = before + perf_counter() - started
