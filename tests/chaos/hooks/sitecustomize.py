"""Imported by every process of a search under chaos: logs each epoch, and reads a clock that a test can move.

`libfaketime` would move the clock of Ray's own programs as well, but Ray does not start under it: the sleeps of Python
fail. Here `time.time` and the end of a record are moved, which is all that `tdmr_ray` takes from the wall clock.
"""

import datetime
import importlib.abc
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

EPOCHS, CLOCK = os.environ.get("CHAOS_EPOCHS", ""), os.environ.get("CHAOS_CLOCK", "")
READ_EVERY_S = 0.5


class Clock:
    """The wall clock plus the seconds in a file."""

    def __init__(self) -> None:
        self.true, self.offset_s, self.read_at = time.time, 0.0, -READ_EVERY_S

    def offset(self) -> float:
        """Return the offset in seconds, read twice a second at most."""
        now = time.monotonic()
        if now - self.read_at >= READ_EVERY_S:
            self.read_at, self.offset_s = now, float(Path(CLOCK).read_text() or 0)
        return self.offset_s

    def __call__(self) -> float:
        return self.true() + self.offset()


def log_epochs(module: ModuleType) -> None:
    """Let `Run.run_epoch` write a line when it begins and when it ends."""
    true = module.Run.run_epoch

    def write(*words: object) -> None:
        file = os.open(EPOCHS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{' '.join(map(str, words))}\n".encode())
        os.close(file)

    def run_epoch(run: Any) -> Any:
        trial = run.config.key()
        write("begin", os.getpid(), trial)
        metrics = true(run)
        write("end", os.getpid(), trial, int(metrics["epoch"]))
        return metrics

    module.Run.run_epoch = run_epoch  # type: ignore[attr-defined]


def move_ends(module: ModuleType) -> None:
    """Let a record end by the moved clock."""

    class Moved(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return datetime.datetime.fromtimestamp(time.time(), tz)

    module.datetime = Moved  # type: ignore[attr-defined]


HOOKS: dict[str, Callable[[ModuleType], None]] = {
    "tdmr_ray.training.fit": log_epochs,
    "tdmr_ray.runner.trial_record": move_ends,
}


class Finder(importlib.abc.MetaPathFinder):
    """Calls a hook after the import of its module."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the module's own spec, with the hook behind its execution."""
        hook = HOOKS.pop(name, None)
        if hook is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.loader is not None
        execute = spec.loader.exec_module

        def execute_with_hook(module: ModuleType) -> None:
            execute(module)
            hook(module)

        spec.loader.exec_module = execute_with_hook  # type: ignore[method-assign]
        return spec


if EPOCHS and CLOCK:
    sys.meta_path.insert(0, Finder())
    time.time = Clock()
