"""The files that the paths in a table mean, and why there is none."""

import os
import re
from pathlib import Path


def file_at(text: str, folder: Path) -> Path | None:
    """Return the file that a cell means, also with Windows separators; None if there is none."""
    spellings = [text, text.replace("\\", "/")] if "\\" in text else [text]
    return next((folder / each for each in spellings if each and _is_file(folder / each)), None)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def explain_missing(text: str, folder: Path) -> tuple[str, str]:
    """Return the rule that a path breaks, and what to do."""
    if not text:
        return "every row must have a path", "fill in or delete these rows"
    if re.match(r"[a-z]{2,}://", text, re.IGNORECASE):
        return "images must be files on this machine", "download those with an address and name the files"
    if re.match(r"[A-Za-z]:[\\/]|\\\\", text):
        do = f"make these paths relative to {folder}, the folder of the table"
        return "paths must be of this machine, not absolute paths of Windows", do
    try:
        if (folder / text.replace("\\", "/")).is_dir():
            return "paths must be files, not folders", "name the image files themselves"
    except (OSError, ValueError):
        pass
    return (
        "every image file must exist",
        f"correct these paths, which are relative to {folder}, the folder of the table",
    )


def similar_file(path: Path) -> str:
    """Return a hint if a file of this name with another case or with a suffix is there."""
    try:
        names = [each.name for each in path.parent.iterdir()]
    except (OSError, ValueError):
        return ""
    hit = next((name for name in names if path.name.lower() in (name.lower(), name.lower().rpartition(".")[0])), None)
    return f"; '{hit}' is there" if hit and hit != path.name else ""


def same_file(text: str) -> str:
    """Return a name that is equal for spellings of one path, such as `a.jpg`, `./a.jpg` and `.\\a.jpg`."""
    return os.path.normpath(text.replace("\\", "/"))
