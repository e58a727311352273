"""Store of folders by key: on this machine, and optionally mirrored in storage that all machines share.

A folder appears under its key atomically and is checked against its manifest when it is opened. The store does not know
what the folders contain.
"""

import errno
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tdmr_ray.checksums import file_digest
from tdmr_ray.storage import StoragePath

MANIFEST = "manifest.json"
DRAFT, HOLDS = ".draft-", ".holds"
DRAFT_LIVES_S = 24 * 3600.0
"""Age beyond which a draft was certainly left by a process that died."""

log = logging.getLogger(__name__)


class Store:
    """Folders by key, each with a manifest of SHA-256 digests.

    Args:
        local: Folder of the store on this machine.
        shared: Storage from which other machines copy; None if there is none.
        max_bytes: Size limit on this machine, None for no limit. Beyond it the least recently used folders are
            removed, except for those that a living process holds; the shared storage keeps everything.
    """

    def __init__(self, local: Path, shared: StoragePath | None = None, max_bytes: int | None = None) -> None:
        self.local, self.shared, self.max_bytes = local, shared, max_bytes
        (local / HOLDS).mkdir(parents=True, exist_ok=True)

    def has(self, key: str) -> bool:
        """Whether this machine has a folder with this key; does not check its content."""
        return (self.local / key / MANIFEST).exists()

    def find(self, key: str) -> Path | None:
        """Return the folder with this key, or None; a damaged one is removed with a warning."""
        folder = self.local / key
        if self.has(key):
            if _is_intact(folder):
                (folder / MANIFEST).touch()
                return folder
            log.warning("%s: does not match its manifest; it is removed and fetched or made again", folder)
            self._forget(folder)
        if not self._download(key):
            return None
        if _is_intact(folder):
            return folder
        log.warning("%s: does not match its manifest in %s either; it is removed and made again", key, self.shared)
        self.remove(key)
        return None

    def add(self, key: str, write: Callable[[Path], None]) -> Path:
        """Fill a new folder with `write`, then publish it under its key; an existing folder is kept."""
        draft = self._new_draft()
        try:
            write(draft)
            manifest = {path.name: file_digest(path) for path in sorted(draft.iterdir())}
            (draft / MANIFEST).write_text(json.dumps(manifest, indent=1))
            self._publish(draft, key)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._upload(key)
        self._make_room(key)
        return self.local / key

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Protect the folder with this key from removal while the context is open and this process lives."""
        mark = self.local / HOLDS / f"{key}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def remove(self, key: str) -> None:
        """Remove a folder, on this machine and from the shared storage."""
        self._forget(self.local / key)
        if self.shared is not None:
            (self.shared / key).remove()

    def _download(self, key: str) -> bool:
        """Copy a folder from the shared storage; False if it is not there."""
        if self.shared is None or not (self.shared / key / MANIFEST).exists():
            return False
        draft = self._new_draft()
        (self.shared / key).fetch(draft)
        self._forget(self.local / key)
        self._publish(draft, key)
        self._make_room(key)
        return True

    def _upload(self, key: str) -> None:
        """Copy a folder to the shared storage, its manifest last: a folder without a manifest is ignored."""
        if self.shared is None:
            return
        for path in sorted((self.local / key).iterdir(), key=lambda path: path.name == MANIFEST):
            (self.shared / key / path.name).send(path)

    def _new_draft(self) -> Path:
        draft = self.local / f"{DRAFT}{uuid.uuid4().hex}"
        draft.mkdir()
        return draft

    def _publish(self, draft: Path, key: str) -> None:
        """Move a draft to its key, unless another process has been faster."""
        try:
            draft.replace(self.local / key)
        except OSError as failure:
            if failure.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            shutil.rmtree(draft, ignore_errors=True)

    def _forget(self, folder: Path) -> None:
        """Remove a folder; no other process sees part of it."""
        away = self.local / f"{DRAFT}{uuid.uuid4().hex}"
        try:
            folder.replace(away)
        except FileNotFoundError:
            return
        shutil.rmtree(away, ignore_errors=True)

    def _make_room(self, newest: str) -> None:
        """Remove drafts of dead processes, then the least recently used folders until `max_bytes` is met."""
        for draft in self.local.glob(f"{DRAFT}*"):
            if time.time() - _changed(draft) > DRAFT_LIVES_S:
                shutil.rmtree(draft, ignore_errors=True)
        if self.max_bytes is None:
            return
        kept = {newest, *self._held_keys()}
        folders = [path.parent for path in self.local.glob(f"*/{MANIFEST}") if not path.parent.name.startswith(DRAFT)]
        sizes = {folder: _bytes(folder) for folder in folders}
        total = sum(sizes.values())
        for folder in sorted(sizes, key=lambda folder: _changed(folder / MANIFEST)):
            if total <= self.max_bytes:
                return
            if folder.name not in kept:
                total -= sizes[folder]
                self._forget(folder)

    def _held_keys(self) -> Iterator[str]:
        """Yield the keys that living processes of this machine hold; remove the marks of dead ones."""
        for mark in (self.local / HOLDS).iterdir():
            key, _, rest = mark.name.rpartition(".")[0].rpartition(".")
            if rest.isdigit() and _is_alive(int(rest)):
                yield key
            else:
                mark.unlink(missing_ok=True)


def _is_intact(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        files = {path.name for path in folder.iterdir() if path.name[0] != "."} - {MANIFEST}
        return files <= manifest.keys() and all(
            file_digest(folder / name) == digest for name, digest in manifest.items()
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _bytes(folder: Path) -> int:
    """Size of a folder; 0 if another process removes it meanwhile."""
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except FileNotFoundError:
        return 0


def _changed(path: Path) -> float:
    """Modification time in seconds since the epoch; now if another process has removed the file."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
