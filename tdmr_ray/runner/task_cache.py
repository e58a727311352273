"""Decoded images in the memory of a process: each task is loaded once and handed to whatever needs it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.decoded import decode_task, open_task, task_key
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.runner.shared_store import SharedStore

MAPPED_TASKS = 64
"""Largest number of tasks that are mapped into memory, which costs next to nothing. A confirmation with S seeds and K
folds alternates between 4 S + 2 K tasks (with and without the unlabelled images, before and after the refit), and
opening one again reads it whole to check it against its manifest."""
OWN_TASKS = 4
"""Largest number of tasks in the process's own memory: two of the search and two variants."""


def _ignore(count: int) -> None:
    """Ignore the progress of decoding."""


class TaskCache:
    """The most recently used tasks of a process.

    A variant of a task (`data.draw`, `data.join`, `data.folds`, `data.unlabeled: false`) takes the images that tasks
    of the same data set hold already; only the others are decoded. In the store, variants are held no longer than it
    takes to open them: they may be removed to make room, and are made again without decoding.

    Args:
        shared: Store of decoded images, which all processes of a machine map into memory; None decodes into this
            process's own memory.
        most: Largest number of tasks in memory; None is `MAPPED_TASKS` with a store and `OWN_TASKS` without one.
    """

    def __init__(self, shared: SharedStore | None = None, most: int | None = None) -> None:
        self.shared = shared
        self.most = most or (MAPPED_TASKS if shared else OWN_TASKS)
        self._keys: dict[DataConfig, str] = {}
        self._tasks: dict[str, Task] = {}
        self._configs: dict[str, DataConfig] = {}
        self._fingerprints: dict[DataConfig, str] = {}

    def key(self, data: DataConfig) -> str:
        """Return the key of the decoded images in the store, as given to `get` or computed from the user's files."""
        return self._keys.get(data) or task_key(data)

    def get(self, data: DataConfig, *, key: str = "", on_progress: Callable[[int], object] = _ignore) -> Task:
        """Return the task; it is loaded if it is not in memory.

        Args:
            data: Configuration of the images.
            key: Key of the decoded images, if known; a machine that has only the store needs nothing else.
            on_progress: Called with the number of newly decoded images.

        Raises:
            InputError: If the images cannot be read, or are others than the first time.
        """
        if key:
            self._keys[data] = key
        key = self.key(data)
        task = self._tasks.pop(key, None) or self._load(data, key, on_progress)
        if task.fingerprint != self._fingerprints.setdefault(data, task.fingerprint):
            rule = "the images, labels or splits have changed since the search began"
            raise InputError("data", f"{rule}; restore them, then continue with --resume")
        self._tasks[key], self._configs[key] = task, data
        while len(self._tasks) > self.most:
            oldest = next(iter(self._tasks))
            del self._tasks[oldest], self._configs[oldest]
        return task

    def _load(self, data: DataConfig, key: str, on_progress: Callable[[int], object]) -> Task:
        if self.shared is None:
            return load_task(data, on_progress=on_progress, known=self._base(data), also_known=self._relatives(data))

        def write(folder: Path) -> None:
            decode_task(data, folder, on_progress, self._base(data), self._relatives(data))

        store = self.shared.store
        if data == data.base:
            self.shared.kept.enter_context(store.held(key))
        with store.held(key):
            folder, _ = self.shared.obtain(key, partial(store.add, write=write))
            return open_task(folder)

    def _base(self, data: DataConfig) -> Task | None:
        """Return the task that a variant needs; None for one that is no variant."""
        return None if data == data.base else self.get(data.base)

    def _relatives(self, data: DataConfig) -> list[Task]:
        """Return the tasks of the same images in memory, the most recently used first."""
        listing = data.listing_part()
        return [task for key, task in reversed(self._tasks.items()) if self._configs[key].listing_part() == listing]
