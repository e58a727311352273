"""What an interrupted trial goes on from: a file that is replaced all at once after each epoch."""

import pickle
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from tdmr_ray.storage import StoragePath


class DamagedCheckpoint(Exception):
    """A checkpoint that cannot be read, or belongs to another trial; the trial has to begin anew."""


def save_checkpoint(state: Mapping[str, Any], place: StoragePath, *, key: str) -> None:
    """Write a state of tensors, numbers, texts, lists and dictionaries; until it is whole, the one before stays.

    Args:
        state: What `load_checkpoint` is to give back.
        place: Of the file.
        key: Whose it is.

    Raises:
        OSError: If it cannot be written.
    """
    content = BytesIO()
    torch.save({"key": key, "state": dict(state)}, content)
    place.write_bytes(content.getbuffer())


def load_checkpoint(place: StoragePath, *, key: str) -> dict[str, Any] | None:
    """The state that was saved last, on the CPU whatever device it comes from, or None if there is none.

    Raises:
        DamagedCheckpoint: If it cannot be read, or `key` is not the one it was saved with.
        OSError: If the place cannot be reached.
    """
    file, name = place.read_bytes(), Path(place.path).name
    if file is None:
        return None
    try:
        content = torch.load(BytesIO(file), weights_only=True, map_location="cpu")
        found, state = content["key"], dict(content["state"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedCheckpoint(f"{name} cannot be read ({type(error).__name__})") from error
    if found != key:
        raise DamagedCheckpoint(f"{name} belongs to another configuration")
    return state
