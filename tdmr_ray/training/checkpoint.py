"""Checkpoints of interrupted trials: one file for each, replaced atomically after every epoch."""

import pickle
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from tdmr_ray.storage import StoragePath


class DamagedCheckpoint(Exception):
    """A checkpoint is unreadable or belongs to another trial; the trial has to start over."""


def save_checkpoint(state: Mapping[str, Any], path: StoragePath, *, key: str) -> None:
    """Write a state of tensors, numbers, strings, lists and dictionaries; the previous one stays until it is complete.

    Args:
        state: State that `load_checkpoint` returns.
        path: Location of the file.
        key: Identifier of the trial.

    Raises:
        OSError: If the file is not writable.
    """
    content = BytesIO()
    torch.save({"key": key, "state": dict(state)}, content)
    path.write_bytes(content.getbuffer())


def load_checkpoint(path: StoragePath, *, key: str) -> dict[str, Any] | None:
    """Return the last saved state, with tensors on the CPU; None if there is none.

    Raises:
        DamagedCheckpoint: If it is unreadable, or was saved with another `key`.
        OSError: If the storage is unreachable.
    """
    file, name = path.read_bytes(), Path(path.path).name
    if file is None:
        return None
    try:
        content = torch.load(BytesIO(file), weights_only=True, map_location="cpu")
        found, state = content["key"], dict(content["state"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedCheckpoint(f"{name} is unreadable ({type(error).__name__})") from error
    if found != key:
        raise DamagedCheckpoint(f"{name} belongs to another configuration")
    return state
