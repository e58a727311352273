"""Teachers from a store: each is made once and used by every trial of the cluster."""

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TypeVar

from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.runner.leases import renewed
from tdmr_ray.runner.shared_store import POLL_S, SharedStore
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.features import (
    Features,
    ViewFeatures,
    compute_view,
    features_keys,
    load_view,
    one_network_each,
    save_view,
    view_numbers,
    with_ids,
)
from tdmr_ray.training.teacher_artifact import (
    TeacherArtifact,
    load_artifact,
    make_teacher,
    save_artifact,
    teacher_key,
    uses_features,
)
from tdmr_ray.training.workers import Workers

Made = TypeVar("Made")
MakeInStore = Callable[[TrialConfig, str], Path]
"""Adds the artifact for a configuration to the store under a key and returns its directory."""


def teacher_key_of(config: TrialConfig, tasks: TaskCache) -> str:
    """Return the key of a trial's teacher; '' if it needs none."""
    return teacher_key(config, tasks.get(config.data).fingerprint) if config.needs_teacher else ""


class StoredTeacherProvider:
    """Loads teachers from a store and adds missing ones. The last one is held in the store until `expect`.

    Args:
        shared: The store.
        make: Makes an artifact elsewhere, such as with Ray Train; None makes it in this process.

    Attributes:
        key: Key of the last artifact.
        reused: Whether the last artifact existed already.
        seconds: Seconds it took to make the last artifact, in whichever process.
    """

    def __init__(self, shared: SharedStore, make: MakeInStore | None = None) -> None:
        self.shared, self.make = shared, make
        self._held = ExitStack()
        self.expect()

    def __call__(self, config: TrialConfig, task: Task) -> TeacherArtifact:
        """Return the artifact of a trial; it is made if the store lacks it."""
        self._hold(config, task)
        make, help_out = partial(self._make, config, task), partial(self._help, config, task)
        folder, self.reused = self.shared.obtain(self.key, make, meanwhile=help_out)
        artifact = load_artifact(folder)
        self.seconds = artifact.seconds
        return artifact

    def features(self, config: TrialConfig, task: Task) -> Features:
        """Return the features of a foundation for a task's images; processes that lack them divide their views."""
        networks: list[list[str]] = []
        makers: dict[str, Callable[[str], Path]] = {}
        for each in one_network_each(config):
            views = self._hold_views(each, task)
            networks.append(list(views))
            makers |= {key: partial(self._add_view, each, task, number) for key, number in views.items()}
        folders, _ = self.shared.obtain_all(makers)
        return Features([[load_view(folders[key]) for key in keys] for keys in networks])

    def _help(self, config: TrialConfig, task: Task) -> None:
        """Compute features for a teacher that another process is making."""
        if self.make is None and uses_features(config, task):
            self.features(config, with_ids(task))

    def _add_view(self, config: TrialConfig, task: Task, number: int, key: str) -> Path:
        return self.shared.store.add(key, lambda draft: save_view(compute_view(config, task, number), draft))

    def expect(self, key: str = "") -> None:
        """Release the last artifact. The next one has this key; '' computes it from configuration and images."""
        self._held.close()
        self._expected, self.key, self.reused, self.seconds = key, "", False, 0.0

    def _hold(self, config: TrialConfig, task: Task) -> None:
        self._held.close()
        self.key = self._expected or teacher_key(config, task.fingerprint)
        self._held.enter_context(self.shared.store.held(self.key))

    def _hold_views(self, config: TrialConfig, task: Task) -> dict[str, int]:
        """Protect a network's features in the store as long as the artifact; return the view numbers by their keys."""
        views = dict(zip(features_keys(config, task), view_numbers(config), strict=True))
        for key in views:
            self._held.enter_context(self.shared.store.held(key))
        return views

    def _make(self, config: TrialConfig, task: Task, key: str) -> Path:
        if self.make is not None:
            return self.make(config, key)
        return self.shared.store.add(
            key, lambda draft: save_artifact(make_teacher(config, task, features_of=self.features), draft)
        )


class GroupTeacherProvider(StoredTeacherProvider):
    """Provider for workers that run one trial together; they also make missing teachers together.

    Args:
        shared: The store.
        workers: The group; all its members call the provider at the same time.
    """

    def __init__(self, shared: SharedStore, workers: Workers) -> None:
        super().__init__(shared)
        self.workers = workers

    def __call__(self, config: TrialConfig, task: Task) -> TeacherArtifact:
        """Return the artifact of a trial; it is made if the store lacks it."""
        self._hold(config, task)
        make = partial(make_teacher, config, task, self.workers, self.features)
        artifact, self.reused = self._obtain(self.key, load_artifact, make, save_artifact)
        self.seconds = artifact.seconds
        return artifact

    def features(self, config: TrialConfig, task: Task) -> Features:
        """Return the features of a foundation for a task's images; they are computed if the store lacks them."""
        return Features([self._network_features(each, task) for each in one_network_each(config)])

    def _network_features(self, config: TrialConfig, task: Task) -> list[ViewFeatures]:
        parts = []
        for key, number in self._hold_views(config, task).items():
            make = partial(compute_view, config, task, number, self.workers)
            parts.append(self._obtain(key, load_view, make, save_view)[0])
        return parts

    def _obtain(
        self, key: str, load: Callable[[Path], Made], make: Callable[[], Made], save: Callable[[Made, Path], None]
    ) -> tuple[Made, bool]:
        """Return what the store has under a key, or what the workers make, and whether it existed."""
        while True:
            exists, ours = self._look(key)
            if exists:
                return load(find_artifact(self.shared, key)), True
            if ours:
                return self._make_together(key, make, save), False
            time.sleep(POLL_S)

    def _look(self, key: str) -> tuple[bool, bool]:
        """Whether a key exists, and whether this group may make it; the first worker decides for all."""
        exists = ours = False
        if self.workers.rank == 0:
            exists = self.shared.store.find(key) is not None
            ours = not exists and self.shared.leases.take(key, self.shared.holder)
        decided = self.workers.mean({"exists": float(exists), "ours": float(ours)})
        return decided["exists"] > 0, decided["ours"] > 0

    def _make_together(self, key: str, make: Callable[[], Made], save: Callable[[Made, Path], None]) -> Made:
        first = self.workers.rank == 0
        with renewed(self.shared.leases, key, self.shared.holder) if first else nullcontext():
            made = make()
            if first:
                self.shared.store.add(key, lambda draft: save(made, draft))
            self.workers.mean({"saved": 1.0})
        return made


def find_artifact(shared: SharedStore, key: str) -> Path:
    """Return the directory of an artifact that another process has made.

    Raises:
        InputError: If this machine cannot reach it.
    """
    found = shared.store.find(key)
    if found is None:
        raise InputError("--store", f"a teacher made on another machine is not in {shared.store.local}; give --storage")
    return found
