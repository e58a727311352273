"""Results in a place that outlives the driver's machine: what has changed is copied there every few seconds."""

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
"""Between two copies at least so many times the time that the last one took."""


class Mirror:
    """The copy of a folder of results.

    Checkpoints and finalists are left out: trials put them there themselves.

    Args:
        root: The folder.
        place: Of the copy.
        say: Gets a line when the place cannot be written for the first time; it is tried again.
    """

    def __init__(self, root: Path, place: StoragePath, say: Callable[[str], object]) -> None:
        self.root, self.place, self.say = root, place, say
        self._copied: dict[Path, tuple[int, int]] = {}
        self._rests_until, self._told = 0.0, False

    def copy(self) -> None:
        """Send what has changed since the last time.

        Raises:
            OSError: If the place cannot be written.
        """
        for path in sorted(self.root.rglob("*")):
            relative = path.relative_to(self.root)
            left_out = relative.parts[0] in {CHECKPOINTS, FINALISTS} or any(part[0] == "." for part in relative.parts)
            if left_out or not path.is_file():
                continue
            status = path.stat()
            now = (status.st_mtime_ns, status.st_size)
            if self._copied.get(path) != now:
                (self.place / relative.as_posix()).send(path)
                self._copied[path] = now

    def copy_in_passing(self) -> None:
        """The same, unless the last time took long; what fails is tried again."""
        started = monotonic()
        if started < self._rests_until:
            return
        try:
            self.copy()
        except OSError as failure:
            if not self._told:
                self.say(f"{self.place} cannot be written: {_line(failure)}; trying again")
            self._told = True
        self._rests_until = monotonic() + REST * (monotonic() - started)


@contextmanager
def mirrored(layout: RunLayout, say: Callable[[str], object]) -> Iterator[None]:
    """Keep the copy of a search's results, if there is to be one; at the end it is whole.

    Raises:
        SearchStopped: If the last copy cannot be made.
    """
    if layout.shared is None:
        yield
        return
    mirror = Mirror(layout.root, layout.shared, say)
    try:
        with periodic_task(mirror.copy_in_passing, EVERY_S):
            yield
    finally:
        try:
            mirror.copy()
        except OSError as failure:
            raise SearchStopped(
                f"{layout.shared} cannot be written: {_line(failure)}; everything is in {layout.root}, --resume goes on"
            ) from failure


def _line(error: OSError) -> str:
    return str(error).splitlines()[0]
