"""What Ray needs of a machine, checked before anything starts."""

import os
from datetime import datetime
from pathlib import Path

from tdmr_ray.errors import InputError

MAX_SOCKET_PATH = 107
"""Bytes of the longest path of a Unix socket; Linux keeps one more for the end."""
LONGEST_PID = 4_194_304
FOLDER_PREFIX, SESSIONS = "tdmr-", "ray"
RANDOM_LETTERS = 8
"""Letters that `tempfile` appends."""


def check_machine(*, joins: bool) -> None:
    """Check that there is a home directory and, for a Ray of our own, that its sockets' paths are short enough.

    Args:
        joins: Whether the search joins a running Ray.

    Raises:
        InputError: If Ray could not start.
    """
    try:
        Path.home()
    except RuntimeError as error:
        raise InputError(
            "HOME", "Ray needs a home directory and there is none; set HOME to a folder of yours"
        ) from error
    if not joins:
        check_socket_paths(temp_dir() / f"{FOLDER_PREFIX}{'x' * RANDOM_LETTERS}" / SESSIONS)


def temp_dir() -> Path:
    """Return the folder in which the folder of a Ray of our own is made."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")


def check_socket_paths(folder: Path) -> None:
    """Check that the sockets of a Ray session in this folder have legal paths.

    Raises:
        InputError: If they would be too long.
    """
    session = f"session_{datetime.now():%Y-%m-%d_%H-%M-%S_%f}_{LONGEST_PID}"
    surplus = len(os.fsencode(folder / session / "sockets" / "plasma_store")) - MAX_SOCKET_PATH
    if surplus > 0:
        rule = f"the paths of Ray's sockets may have {MAX_SOCKET_PATH} bytes and would have {surplus} more in {folder}"
        raise InputError("TMPDIR", f"{rule}; set TMPDIR to a shorter path, such as /tmp")
