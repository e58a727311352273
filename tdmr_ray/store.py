"""A content-addressed store of folders, local or behind any file system that pyarrow knows (`s3://`).

A folder appears under its key all at once, and is checked against its manifest when it is opened. Knows nothing about
what is in the folders.
"""

import hashlib
import json
import shutil
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from pyarrow import fs

MANIFEST = "manifest.json"


class Store:
    """Folders by key.

    Args:
        local: Where folders lie on this machine; for a remote store, its node-local copy.
        remote: URI of the shared place, such as `s3://bucket/prefix`; None keeps everything local.
    """

    def __init__(self, local: Path, remote: str | None = None) -> None:
        self.local, self.remote = local, remote
        local.mkdir(parents=True, exist_ok=True)

    def find(self, key: str) -> Path | None:
        """The folder with this key, or None; a damaged one is removed with a message, so that it is made again."""
        folder = self.local / key
        if not (folder / MANIFEST).exists() and not self._download(key):
            return None
        if _is_whole(folder):
            return folder
        print(f"{folder}: does not match its manifest; it is thrown away and made again", file=sys.stderr)
        self.remove(key)
        return None

    def add(self, key: str, write: Callable[[Path], None]) -> Path:
        """Let `write` fill a new folder, then put it under its key; an existing one stays."""
        draft = self.local / f".draft-{uuid.uuid4().hex}"
        draft.mkdir()
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
        return folder

    def remove(self, key: str) -> None:
        """Forget a folder, here and in the shared place."""
        shutil.rmtree(self.local / key, ignore_errors=True)
        if self.remote is not None:
            system, root = fs.FileSystem.from_uri(f"{self.remote}/{key}")
            if system.get_file_info(root).type == fs.FileType.Directory:
                system.delete_dir(root)

    def _download(self, key: str) -> bool:
        """Copy a folder from the shared place; False if it is not there."""
        if self.remote is None:
            return False
        system, root = fs.FileSystem.from_uri(f"{self.remote}/{key}")
        if system.get_file_info(f"{root}/{MANIFEST}").type != fs.FileType.File:
            return False
        draft = self.local / f".draft-{uuid.uuid4().hex}"
        draft.mkdir()
        fs.copy_files(root, str(draft), source_filesystem=system, destination_filesystem=fs.LocalFileSystem())
        shutil.rmtree(self.local / key, ignore_errors=True)
        draft.replace(self.local / key)
        return True

    def _upload(self, key: str) -> None:
        """Copy a folder to the shared place, its manifest last: without one it does not count."""
        if self.remote is None:
            return
        system, root = fs.FileSystem.from_uri(f"{self.remote}/{key}")
        system.create_dir(root, recursive=True)
        paths = sorted((self.local / key).iterdir(), key=lambda path: path.name == MANIFEST)
        for path in paths:
            fs.copy_files(str(path), f"{root}/{path.name}", fs.LocalFileSystem(), system)


def _is_whole(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        return all(_digest(folder / name) == digest for name, digest in manifest.items())
    except (OSError, ValueError, AttributeError):
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
