"""Results in a place that outlives the driver's machine: what has changed is copied there every few seconds."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import TracebackType

from tdmr_ray.errors import SearchStopped
from tdmr_ray.places import Place
from tdmr_ray.runner.folders import CHECKPOINTS, FINALISTS, Folders

EVERY_S = 10.0
REST = 10
"""Between two copies at least so many times the time that the last one took."""


class Mirror:
    """Keeps the copy of a folder of results, for as long as it is entered; at the end the copy is whole.

    Checkpoints and finalists are left out: trials put them there themselves.

    Args:
        root: The folder.
        place: Of the copy.
        say: Gets a line when the place cannot be written for the first time; it is tried again.
    """

    def __init__(self, root: Path, place: Place, say: Callable[[str], object]) -> None:
        self.root, self.place, self.say = root, place, say
        self._copied: dict[Path, tuple[int, int]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_copying, daemon=True)

    def __enter__(self) -> "Mirror":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The last copy.

        Raises:
            SearchStopped: If it cannot be made.
        """
        self._over.set()
        self._thread.join()
        try:
            self.copy()
        except OSError as failure:
            raise SearchStopped(
                f"{self.place} cannot be written: {_line(failure)}; everything is in {self.root}, --resume goes on"
            ) from error or failure

    def copy(self) -> None:
        """Send what has changed since the last time."""
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

    def _keep_copying(self) -> None:
        rest_s, told = EVERY_S, False
        while not self._over.wait(rest_s):
            started = perf_counter()
            try:
                self.copy()
            except OSError as failure:
                if not told:
                    self.say(f"{self.place} cannot be written: {_line(failure)}; trying again")
                told = True
            rest_s = max(EVERY_S, REST * (perf_counter() - started))


@contextmanager
def mirrored(folders: Folders, say: Callable[[str], object]) -> Iterator[None]:
    """Keep the copy of a search's results, if there is to be one."""
    if folders.shared is None:
        yield
        return
    with Mirror(folders.root, folders.shared, say):
        yield


def _line(error: OSError) -> str:
    return str(error).splitlines()[0]
