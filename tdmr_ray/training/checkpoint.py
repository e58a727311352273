"""What an interrupted trial goes on from: a file that is replaced all at once after each epoch."""

import pickle
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read, or belongs to another trial; the trial has to begin anew."""


def save_checkpoint(state: Mapping[str, Any], path: Path, *, key: str) -> None:
    """Write a state of tensors, numbers, texts, lists and dictionaries; until it is whole, the one before stays.

    Args:
        state: What `load_checkpoint` is to give back.
        path: Its folder is made.
        key: Whose it is.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    content = BytesIO()
    torch.save({"key": key, "state": dict(state)}, content)
    try:
        draft.write_bytes(content.getbuffer())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(path)


def load_checkpoint(path: Path, *, key: str) -> dict[str, Any] | None:
    """The state that was saved last, or None if there is none.

    Raises:
        DamagedCheckpoint: If it cannot be read, or `key` is not the one it was saved with.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True)
        found, state = content["key"], dict(content["state"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedCheckpoint(f"{path.name} cannot be read ({type(error).__name__})") from error
    if found != key:
        raise DamagedCheckpoint(f"{path.name} belongs to another configuration")
    return state
