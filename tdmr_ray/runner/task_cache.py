"""Decoded images in the memory of a process: each task is loaded once and handed to whatever needs it."""

from collections.abc import Callable
from functools import partial

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.decoded import decode_task, open_task, task_key
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.runner.shared_store import SharedStore

MAX_TASKS = 3
"""A search and its controls have two tasks: with and without the unlabelled images."""


def _ignore(count: int) -> None:
    """Ignore the progress of decoding."""


class TaskCache:
    """The most recent tasks of a process.

    Args:
        shared: Store of decoded images, which all processes of a machine map into memory; None decodes into this
            process's own memory.
    """

    def __init__(self, shared: SharedStore | None = None) -> None:
        self.shared = shared
        self._keys: dict[DataConfig, str] = {}
        self._tasks: dict[str, Task] = {}

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
            InputError: If the images cannot be read.
        """
        if key:
            self._keys[data] = key
        key = self.key(data)
        if key not in self._tasks:
            while len(self._tasks) >= MAX_TASKS:
                self._tasks.pop(next(iter(self._tasks)))
            self._tasks[key] = self._load(data, key, on_progress)
        return self._tasks[key]

    def _load(self, data: DataConfig, key: str, on_progress: Callable[[int], object]) -> Task:
        if self.shared is None:
            return load_task(data, on_progress=on_progress)
        self.shared.kept.enter_context(self.shared.store.held(key))
        decode = partial(self.shared.store.add, write=partial(decode_task, data, on_progress=on_progress))
        folder, _ = self.shared.obtain(key, decode)
        return open_task(folder)
