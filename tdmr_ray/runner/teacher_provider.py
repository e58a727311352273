"""What is made once and used by every trial of the cluster: decoded images, and teachers with their outputs.

The first that needs it makes it, the others wait and take it from the store.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter

from tdmr_ray.data.decoded import decode_task, open_task, task_key
from tdmr_ray.data.task import Task, load_task
from tdmr_ray.runner.leases import Leases, renewed
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import TeacherArtifact, load_artifact, make_teacher, save_artifact, teacher_key

ASK_EVERY_S = 0.2


class SharedStore:
    """A store in which each folder is made by one process of the cluster.

    Args:
        store: Where the layout lie.
        leases: Who makes what.

    Attributes:
        waited_s: How long others kept it waiting, all in all.
        kept: Holds of what stays in use for as long as this process lives.
    """

    def __init__(self, store: Store, leases: Leases) -> None:
        self.store, self.leases = store, leases
        self.holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.waited_s, self.kept = 0.0, ExitStack()

    def obtain(self, key: str, make: Callable[[str], Path]) -> tuple[Path, bool]:
        """The folder with this key, and whether it was there already (or another process made it periodic_task).

        Args:
            key: Of the folder.
            make: Puts the folder into the store if nobody has; says where it is.
        """
        started = perf_counter()
        while True:
            found = self.store.find(key)
            if found is not None:
                self.waited_s += perf_counter() - started
                return found, True
            if self.leases.take(key, self.holder):
                break
            time.sleep(ASK_EVERY_S)
        self.waited_s += perf_counter() - started
        with renewed(self.leases, key, self.holder):
            found = self.store.find(key)
            return (found, True) if found else (make(key), False)


class StoredTeacherProvider:
    """Takes teachers out of a store and puts new ones in; what it gave last is held until `expect`.

    Args:
        shared: The store.
        make: Makes a artifact's folder in the store; None makes it in this process.

    Attributes:
        key: Of the last artifact.
        reused: Whether the last artifact was there already.
        seconds: That the last artifact took to make, whoever made it.
    """

    def __init__(self, shared: SharedStore, make: Callable[[TrialConfig, str], Path] | None = None) -> None:
        self.shared, self.make = shared, make
        self._held = ExitStack()
        self.expect()

    def __call__(self, config: TrialConfig, task: Task) -> TeacherArtifact:
        """The artifact of a trial, made if it is not there."""
        self._begin(config, task)
        folder, self.reused = self.shared.obtain(self.key, partial(self._make, config, task))
        artifact = load_artifact(folder)
        self.seconds = artifact.seconds
        return artifact

    def _begin(self, config: TrialConfig, task: Task) -> None:
        """From now on this is the artifact that is held."""
        self._held.close()
        self.key = self._expected or teacher_key(config, task.fingerprint)
        self._held.enter_context(self.shared.store.held(self.key))

    def _make(self, config: TrialConfig, task: Task, key: str) -> Path:
        if self.make is not None:
            return self.make(config, key)
        return self.shared.store.add(key, lambda draft: save_artifact(make_teacher(config, task), draft))

    def expect(self, key: str = "") -> None:
        """Let go of the last artifact; the next has this key, or '' if it is to be worked out."""
        self._held.close()
        self._expected, self.key, self.reused, self.seconds = key, "", False, 0.0


def teacher_key_of(config: TrialConfig) -> str:
    """The key of a trial's artifact; '' if it needs none."""
    return teacher_key(config, resident_task(config).fingerprint) if config.needs_teacher else ""


_tasks: dict[str, Task] = {}


def resident_task(
    config: TrialConfig,
    shared: SharedStore | None = None,
    *,
    key: str = "",
    on_progress: Callable[[int], object] = lambda count: None,
) -> Task:
    """The images of a trial; the last few stay in memory for the next trials of this process.

    Args:
        config: The trial.
        shared: All processes of a machine that give it share the memory of the images.
        key: Of the images in the store, where it is known; a machine that has only the store needs no more.
        on_progress: Told how many more images are decoded.
    """
    key = key or task_key(config.data)
    if key not in _tasks:
        while len(_tasks) >= 3:
            _tasks.pop(next(iter(_tasks)))
        _tasks[key] = load_task(config.data) if shared is None else _shared_task(config, key, shared, on_progress)
    return _tasks[key]


def _shared_task(config: TrialConfig, key: str, shared: SharedStore, on_progress: Callable[[int], object]) -> Task:
    shared.kept.enter_context(shared.store.held(key))
    decode = partial(shared.store.add, write=partial(decode_task, config.data, on_progress=on_progress))
    folder, _ = shared.obtain(key, decode)
    return open_task(folder)
