"""Where results go, `--out` and `--storage`, checked before anything starts."""

import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tdmr_ray.errors import InputError
from tdmr_ray.run_layout import CHECKPOINT_SUFFIX, RECORDS
from tdmr_ray.storage import StoragePath


def prepare_output_dir(root: Path, *, resume: bool) -> None:
    """Make the results' folder.

    Raises:
        InputError: If it is in use and `resume` is not given, cannot be written, or there is nothing to resume.
    """
    used = is_used(root)
    if used and not resume:
        raise InputError("--out", f"{root} exists already; give another folder, or --resume to continue in it")
    if resume and not used:
        raise InputError("--resume", f"there is nothing in {root} to continue; leave --resume out")
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError("--out", f"{root} cannot be written: {error.strerror}; give another folder") from error


def is_used(root: Path) -> bool:
    """Whether a folder holds results; hidden files of our own do not count."""
    return any(not path.name.startswith(".") for path in root.iterdir()) if root.is_dir() else root.exists()


@contextmanager
def locked_output_dir(root: Path) -> Iterator[None]:
    """Keep other processes out of a folder of results; a dead one's hold goes with it.

    Raises:
        InputError: If another process works in it.
    """
    lock, owner = FileLock(root / ".lock"), root / ".owner"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        who = owner.read_text(encoding="utf-8") if owner.exists() else "another process"
        raise InputError("--out", f"{root} is in use by {who}; wait for it, or give another folder") from None
    with lock:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now():%Y-%m-%d %H:%M:%S}")
        yield
        owner.unlink(missing_ok=True)


def open_storage(location: str) -> StoragePath:
    """A place that can be written.

    Raises:
        InputError: If it cannot.
    """
    try:
        storage = StoragePath(location)
        probe = storage / f".writable-{uuid.uuid4().hex}"
        probe.write_bytes(b"")
        probe.remove()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            "--storage", f"{location} cannot be written: {reason}; check the address and your rights"
        ) from error
    return storage


def fetch_earlier(results: StoragePath, root: Path, *, resume: bool) -> None:
    """Bring what an earlier driver left in the storage, unless this machine knows more.

    Raises:
        InputError: If there is something, but `resume` is not given.
    """
    near, far = root / RECORDS, len((results / RECORDS).read_bytes() or b"")
    if far and not resume:
        raise InputError("--storage", f"{results} exists already; give another --out, or --resume to continue it")
    if far > (near.stat().st_size if near.exists() else 0):
        results.fetch(root, lambda name: not name.endswith(CHECKPOINT_SUFFIX))
