"""Questions about paths that the user wrote; names too long for the file system are answered, too."""

from pathlib import Path


def is_folder(path: Path) -> bool:
    """Return whether there is such a folder."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Return whether there is such a file."""
    try:
        return path.is_file()
    except OSError:
        return False
