"""Temporary folders that do not outlive their process by long: the next one removes what a killed process left."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

IN_USE = "in_use"
"""Name of a file that is locked while the folder's process lives."""


@contextmanager
def own_folder(prefix: str, parent: Path) -> Iterator[Path]:
    """Make a temporary folder with mode 0700 for the duration.

    Args:
        prefix: Start of its name.
        parent: Folder in which it is made; folders with this prefix whose processes have died are removed from it.
    """
    _remove_orphans(prefix, parent)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with FileLock(folder / IN_USE):
            yield folder


def _remove_orphans(prefix: str, parent: Path) -> None:
    """Remove folders of ours that nobody uses; one without a lock was not made here, or is being made."""
    for lock in parent.glob(f"{prefix}*/{IN_USE}"):
        with suppress(OSError, Timeout):
            if lock.parent.stat().st_uid == os.getuid():
                with FileLock(lock, timeout=0):
                    shutil.rmtree(lock.parent, ignore_errors=True)
