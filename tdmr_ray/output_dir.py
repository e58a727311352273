"""Where results and teachers go: `--out`, `--storage` and `--store`, checked before anything starts."""

import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tdmr_ray.errors import InputError, SearchStopped
from tdmr_ray.ledger import num_intact_lines
from tdmr_ray.run_layout import CHECKPOINT_SUFFIX, DATA_SUMMARY, ENVIRONMENT, RECORDS, SPACE, TARGETS
from tdmr_ray.storage import PREVIOUS_SUFFIX, StoragePath
from tdmr_ray.store import Store

INPUTS = {SPACE, ENVIRONMENT, TARGETS, DATA_SUMMARY}
"""Files that are written before anything is trained."""


@contextmanager
def opened_output_dir(root: Path, *, resume: bool, results: StoragePath | None = None) -> Iterator[None]:
    """Make the output directory, keep other processes out, and bring what an earlier driver left in the storage.

    If the context is left by an exception before anything is trained, a new directory is removed again.

    Args:
        root: The directory.
        resume: Whether to continue in it.
        results: Its copy in the storage; None if there is none.

    Raises:
        InputError: If it is in use and `resume` is not given, cannot be written, or there is nothing to resume.
    """
    try:
        used = is_used(root)
    except OSError as error:
        raise InputError("--out", f"{root} cannot be read: {error.strerror}; give another folder") from error
    if used and not resume:
        raise InputError("--out", f"{root} exists already; give another folder, or --resume to continue in it")
    with nullcontext() if used else _removed_if_refused(root):
        _make_writable(root)
        with locked_output_dir(root):
            if results is not None:
                fetch_earlier(results, root, resume=resume)
            if resume and not is_used(root):
                raise InputError("--resume", f"there is nothing in {root} to continue; leave --resume out")
            yield


def is_used(root: Path) -> bool:
    """Whether a folder holds results; hidden files of our own do not count."""
    return any(not path.name.startswith(".") for path in root.iterdir()) if root.is_dir() else root.exists()


@contextmanager
def locked_output_dir(root: Path) -> Iterator[None]:
    """Keep other processes out of a folder of results; a dead one's hold goes with it.

    Raises:
        InputError: If another process works in it, or it cannot be written.
    """
    lock, owner = FileLock(root / ".lock"), root / ".owner"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        who = owner.read_text(encoding="utf-8", errors="replace") if owner.exists() else "another process"
        raise InputError("--out", f"{root} is in use by {who}; wait for it, or give another folder") from None
    except OSError as error:
        raise InputError("--out", f"{root} cannot be written: {error.strerror}; give another folder") from error
    with lock:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now():%Y-%m-%d %H:%M:%S}")
        try:
            yield
        finally:
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
    """Bring what an earlier driver left in the storage, unless this machine knows more; needs the directory's lock.

    Raises:
        InputError: If there is something, but `resume` is not given.
    """
    near, far = root / RECORDS, (results / RECORDS).read_bytes() or b""
    if far and not resume:
        raise InputError("--storage", f"{results} exists already; give another --out, or --resume to continue it")
    if num_intact_lines(far) > (num_intact_lines(near.read_bytes()) if near.exists() else 0):
        checkpoints = (CHECKPOINT_SUFFIX, CHECKPOINT_SUFFIX + PREVIOUS_SUFFIX)
        results.fetch(root, lambda name: not name.endswith(checkpoints))


def default_store() -> Path:
    """Return the folder of teachers in the user's cache; they outlive a search.

    Raises:
        InputError: If there is no home directory.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tdmr_ray" / "teachers"
    except RuntimeError as error:
        raise InputError("--store", "there is no home directory for it; set HOME, or give a folder") from error


def open_store(folder: str | Path | None, *, max_bytes: int | None = None, shared: StoragePath | None = None) -> Store:
    """Open the store of teachers on this machine.

    Args:
        folder: Its folder; None is `default_store()`.
        max_bytes: See `Store`.
        shared: The storage that all machines reach; None if there is none.

    Raises:
        InputError: If the folder cannot be written.
    """
    path = Path(folder) if folder else default_store()
    try:
        path = path.expanduser().resolve()
        store = Store(path, shared / "teachers" if shared else None, max_bytes)
        _probe(path)
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError("--store", f"{path} cannot be written: {reason}; give another folder") from error
    return store


def _make_writable(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        _probe(root)
    except OSError as error:
        raise InputError("--out", f"{root} cannot be written: {error.strerror}; give another folder") from error


def _probe(folder: Path) -> None:
    probe = folder / f".writable-{uuid.uuid4().hex}"
    probe.touch()
    probe.unlink()


@contextmanager
def _removed_if_refused(root: Path) -> Iterator[None]:
    """Remove what was made if an exception comes before anything is trained, so that the same command works again.

    What the folder holds already stays. A search that a signal or an outside reason has stopped says how to resume,
    and keeps its directory.
    """
    missing = [path for path in (root, *root.parents) if not path.exists()]
    before = set(root.iterdir()) if root.is_dir() else set()
    try:
        yield
    except (SearchStopped, KeyboardInterrupt):
        raise
    except BaseException:
        new = [path for path in root.iterdir() if path not in before] if root.is_dir() else []
        if all(path.name in INPUTS or path.name[0] == "." for path in new):
            for path in new:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for folder in missing:
                with suppress(OSError):
                    folder.rmdir()
        raise
