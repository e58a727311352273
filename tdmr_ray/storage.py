"""Files and layout on this machine or elsewhere, such as on `s3://bucket/prefix`, in one way.

Knows nothing about what is in them.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from pyarrow import fs

PREVIOUS_SUFFIX = ".previous"


def is_remote(location: str) -> bool:
    """Whether it is a URI rather than a path."""
    return "://" in location


class StoragePath:
    """A file or folder, by path or by a URI that pyarrow knows.

    S3 takes credentials and `AWS_ENDPOINT_URL` from the environment, as other tools do.

    Args:
        location: Such as `runs/first` or `s3://bucket/prefix`.

    Raises:
        OSError: If the place's system cannot be reached. All methods raise it.
        ValueError: If pyarrow does not know such places.
    """

    def __init__(self, location: str | Path) -> None:
        self.location = str(location)
        if is_remote(self.location):
            self.system, self.path = fs.FileSystem.from_uri(self.location)
        else:
            self.system, self.path = fs.LocalFileSystem(), str(Path(location).absolute())

    def __reduce__(self) -> tuple[type["StoragePath"], tuple[str]]:
        """Pickle as the location alone, so that each process opens it with its own credentials."""
        return StoragePath, (self.location if is_remote(self.location) else self.path,)

    def __truediv__(self, name: str) -> "StoragePath":
        """What is called so in this folder."""
        inner = object.__new__(StoragePath)
        base, mark, options = self.location.partition("?")
        inner.location, inner.system, inner.path = f"{base}/{name}{mark}{options}", self.system, f"{self.path}/{name}"
        return inner

    @property
    def parent(self) -> str:
        """The location of the folder that it is in."""
        base, mark, options = self.location.partition("?")
        return f"{base.rpartition('/')[0]}{mark}{options}"

    def __str__(self) -> str:
        return self.location

    @property
    def is_local(self) -> bool:
        """Whether other teachers of this machine find it by its `path`."""
        return isinstance(self.system, fs.LocalFileSystem)

    def exists(self) -> bool:
        """Whether there is a file."""
        return bool(self.system.get_file_info(self.path).type == fs.FileType.File)

    def read_bytes(self) -> bytes | None:
        """What is in the file, or None if there is none."""
        try:
            with self.system.open_input_stream(self.path) as stream:
                return bytes(stream.read())
        except (FileNotFoundError, NotADirectoryError):
            return None

    @property
    def previous(self) -> "StoragePath":
        """The version before, which `write_bytes` may keep."""
        return StoragePath(f"{self.path}{PREVIOUS_SUFFIX}")

    def write_bytes(self, content: bytes | memoryview, *, keep_previous: bool = False) -> None:
        """Make the file, or replace it; until it is whole, what was there stays.

        Args:
            content: What will be in the file.
            keep_previous: Whether to keep what was there as `previous`; on this machine only, since other storage has
                checksums and copies of its own.
        """
        if not self.is_local:
            with self.system.open_output_stream(self.path) as stream:
                stream.write(content)
            return
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        try:
            draft.write_bytes(content)
            if keep_previous and path.exists():
                path.replace(self.previous.path)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def send(self, path: Path) -> None:
        """Make the file, or replace it, with the content of one of this machine."""
        if self.is_local:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(str(path), self.path, fs.LocalFileSystem(), self.system)

    def fetch(self, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> int:
        """Copy the files in this folder, and in those in it, to a folder of this machine; how many there are.

        Args:
            folder: Is made.
            wanted: Says by name which.
        """
        selected = self.system.get_file_info(fs.FileSelector(self.path, recursive=True, allow_not_found=True))
        files = [info.path for info in selected if info.type == fs.FileType.File and wanted(info.base_name)]
        for path in files:
            target = folder / Path(path).relative_to(self.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            fs.copy_files(path, str(target), self.system, fs.LocalFileSystem())
        return len(files)

    def remove(self) -> None:
        """Remove the file and its previous version, or the folder; no complaint if there is none."""
        if self.is_local:
            path = Path(self.path)
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            Path(self.previous.path).unlink(missing_ok=True)
            return
        kind = self.system.get_file_info(self.path).type
        if kind == fs.FileType.Directory:
            self.system.delete_dir(self.path)
        elif kind == fs.FileType.File:
            self.system.delete_file(self.path)
