"""A content-addressed store of layout, on this machine and, if there is one, in a place that all machines share.

A folder appears under its key all at once, and is checked against its manifest when it is opened. Knows nothing about
what is in the layout.
"""

import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tdmr_ray.storage import StoragePath

MANIFEST = "manifest.json"
DRAFT, HOLDS = ".draft-", ".holds"
DRAFT_LIVES_S = 24 * 3600.0
"""A draft that is older was left by a process that died."""


class Store:
    """RunLayout by key.

    Args:
        local: Where layout lie on this machine.
        shared: The place from which other machines copy them; None if there is none.
        max_bytes: Beyond it the layout here that were not used for longest are removed, but none that a living
            process holds; the shared place keeps all. None is no limit.
    """

    def __init__(self, local: Path, shared: StoragePath | None = None, max_bytes: int | None = None) -> None:
        self.local, self.shared, self.max_bytes = local, shared, max_bytes
        (local / HOLDS).mkdir(parents=True, exist_ok=True)

    def has(self, key: str) -> bool:
        """Whether there is a folder with this key here, whole or not; quick."""
        return (self.local / key / MANIFEST).exists()

    def find(self, key: str) -> Path | None:
        """The folder with this key, or None; a damaged one is removed with a message, so that it is made again."""
        folder = self.local / key
        if not self.has(key) and not self._download(key):
            return None
        if _is_whole(folder):
            (folder / MANIFEST).touch()
            return folder
        print(f"{folder}: does not match its manifest; it is thrown away and made again", file=sys.stderr)
        self.remove(key)
        return None

    def add(self, key: str, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a new folder, then put it under its key; an existing one stays."""
        draft = self._new_draft()
        try:
            write(draft)
            manifest = {path.name: _digest(path) for path in sorted(draft.iterdir())}
            (draft / MANIFEST).write_text(json.dumps(manifest, indent=1))
            folder = self.local / key
            if not folder.exists():
                draft.replace(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._upload(key)
        self._make_room(key)
        return folder

    @contextmanager
    def held(self, key: str) -> Iterator[None]:
        """For as long as this lasts, or this process lives, the folder with this key is not removed to make room."""
        mark = self.local / HOLDS / f"{key}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def remove(self, key: str) -> None:
        """Forget a folder, here and in the shared place."""
        self._forget(self.local / key)
        if self.shared is not None:
            (self.shared / key).remove()

    def _download(self, key: str) -> bool:
        """Copy a folder from the shared place; False if it is not there."""
        if self.shared is None or not (self.shared / key / MANIFEST).exists():
            return False
        draft = self._new_draft()
        (self.shared / key).fetch(draft)
        self._forget(self.local / key)
        draft.replace(self.local / key)
        self._make_room(key)
        return True

    def _upload(self, key: str) -> None:
        """Copy a folder to the shared place, its manifest last: without one it does not count."""
        if self.shared is None:
            return
        for path in sorted((self.local / key).iterdir(), key=lambda path: path.name == MANIFEST):
            (self.shared / key / path.name).send(path)

    def _new_draft(self) -> Path:
        draft = self.local / f"{DRAFT}{uuid.uuid4().hex}"
        draft.mkdir()
        return draft

    def _forget(self, folder: Path) -> None:
        """Remove a folder; nobody sees half of it."""
        away = self.local / f"{DRAFT}{uuid.uuid4().hex}"
        try:
            folder.replace(away)
        except FileNotFoundError:
            return
        shutil.rmtree(away, ignore_errors=True)

    def _make_room(self, newest: str) -> None:
        """Remove what dead processes left, then the least recently used layout until the rest is small enough."""
        for draft in self.local.glob(f"{DRAFT}*"):
            if time.time() - _changed(draft) > DRAFT_LIVES_S:
                shutil.rmtree(draft, ignore_errors=True)
        if self.max_bytes is None:
            return
        kept = {newest, *self._held_keys()}
        layout = {path.parent: _bytes(path.parent) for path in self.local.glob(f"*/{MANIFEST}")}
        total = sum(layout.values())
        for folder in sorted(layout, key=lambda folder: _changed(folder / MANIFEST)):
            if total <= self.max_bytes:
                return
            if folder.name not in kept:
                total -= layout[folder]
                self._forget(folder)

    def _held_keys(self) -> Iterator[str]:
        """What living processes of this machine hold; marks of dead ones are removed."""
        for mark in (self.local / HOLDS).iterdir():
            key, pid, _ = mark.name.rsplit(".", 2)
            if _lives(int(pid)):
                yield key
            else:
                mark.unlink(missing_ok=True)


def _is_whole(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return all(_digest(folder / name) == digest for name, digest in manifest.items())
    except (OSError, ValueError, AttributeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.exists() else 0


def _changed(path: Path) -> float:
    """When it was written or touched last; 0 if it has gone."""
    return path.stat().st_mtime if path.exists() else 0.0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
