"""A copy of the output directory in storage that outlives the driver's machine, updated every few seconds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from tdmr_ray.errors import SearchStopped
from tdmr_ray.run_layout import CHECKPOINTS, FINALISTS, RunLayout
from tdmr_ray.runner.periodic import periodic_task
from tdmr_ray.storage import StoragePath

EVERY_S = 10.0
REST = 10
"""Least pause between two updates, as a multiple of the last one's duration."""


class Mirror:
    """Copy of an output directory, without checkpoints and finalists, which trials write there themselves.

    Args:
        root: The output directory.
        storage: Storage of the copy.
        on_message: Receives a line when the storage cannot be written for the first time; the copy is tried again.
    """

    def __init__(self, root: Path, storage: StoragePath, on_message: Callable[[str], object]) -> None:
        self.root, self.storage, self.on_message = root, storage, on_message
        self._copied: dict[Path, tuple[int, int]] = {}
        self._rests_until, self._has_failed = 0.0, False

    def copy(self) -> None:
        """Send the files that have changed since the last time.

        Raises:
            OSError: If the storage cannot be written.
        """
        for path in sorted(self.root.rglob("*")):
            relative = path.relative_to(self.root)
            skipped = relative.parts[0] in {CHECKPOINTS, FINALISTS} or any(part[0] == "." for part in relative.parts)
            if skipped or not path.is_file():
                continue
            status = path.stat()
            now = (status.st_mtime_ns, status.st_size)
            if self._copied.get(path) != now:
                (self.storage / relative.as_posix()).send(path)
                self._copied[path] = now

    def try_copy(self) -> None:
        """Copy, unless the last time took long; report a failure once and try again later."""
        started = monotonic()
        if started < self._rests_until:
            return
        try:
            self.copy()
        except Exception as failure:  # noqa: BLE001  # storage has many kinds of errors, and the thread must go on
            if not self._has_failed:
                self.on_message(f"{self.storage} cannot be written: {_line(failure)}; trying again")
            self._has_failed = True
        self._rests_until = monotonic() + REST * (monotonic() - started)


@contextmanager
def mirrored(layout: RunLayout, on_message: Callable[[str], object]) -> Iterator[None]:
    """Keep the copy of a search's output directory, if it has one, up to date; at the end the copy is complete.

    Raises:
        SearchStopped: If the last update fails.
    """
    if layout.shared is None:
        yield
        return
    mirror = Mirror(layout.root, layout.shared, on_message)
    try:
        with periodic_task(mirror.try_copy, EVERY_S):
            yield
    finally:
        try:
            mirror.copy()
        except OSError as failure:
            raise SearchStopped(
                f"{layout.shared} cannot be written: {_line(failure)}; everything is in {layout.root}, --resume goes on"
            ) from failure


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
