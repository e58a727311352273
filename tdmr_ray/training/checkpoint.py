"""Checkpoints of interrupted trials: one file for each, replaced atomically after every epoch.

On this machine's disk, the checkpoint of the epoch before stays beside it, so that a damaged file costs one epoch.
"""

import hashlib
import pickle
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from tdmr_ray.storage import StoragePath

MAGIC = b"tdmr_ray checkpoint "
DIGEST_BYTES = 32


class DamagedCheckpoint(Exception):
    """A checkpoint is unreadable or belongs to another trial; the trial has to start over."""


def save_checkpoint(state: Mapping[str, Any], path: StoragePath, *, key: str, data: str = "") -> None:
    """Write a state of tensors, numbers, strings, lists and dictionaries; the previous one stays until it is complete.

    Args:
        state: State that `load_checkpoint` returns.
        path: Location of the file.
        key: Identifier of the trial.
        data: Fingerprint of its images.

    Raises:
        OSError: If the file is not writable.
    """
    content = BytesIO()
    torch.save({"key": key, "data": data, "state": dict(state)}, content)
    payload = content.getbuffer()
    path.write_bytes(b"".join((MAGIC, hashlib.sha256(payload).digest(), payload)), keep_previous=True)


def load_newest(path: StoragePath, *, key: str, data: str) -> tuple[dict[str, Any] | None, DamagedCheckpoint | None]:
    """Return the last saved state that can be used, or None, and the damage to the checkpoint if there is any.

    Args:
        path: See `load_checkpoint`.
        key: See `load_checkpoint`.
        data: See `load_checkpoint`.

    Raises:
        OSError: If the storage is unreachable.
    """
    first_damage = None
    for each in (path, path.previous) if path.is_local else (path,):
        try:
            state = load_checkpoint(each, key=key, data=data)
        except DamagedCheckpoint as damage:
            first_damage = first_damage or damage
            continue
        if state is not None:
            return state, first_damage
    return None, first_damage


def load_checkpoint(path: StoragePath, *, key: str, data: str | None = None) -> dict[str, Any] | None:
    """Return the last saved state, with tensors on the CPU; None if there is none.

    Args:
        path: Location of the file.
        key: Identifier of the trial.
        data: Fingerprint of its images; None accepts any.

    Raises:
        DamagedCheckpoint: If it is unreadable, or was saved with another `key` or `data`.
        OSError: If the storage is unreachable.
    """
    file, name = path.read_bytes(), Path(path.path).name
    if file is None:
        return None
    start = len(MAGIC) + DIGEST_BYTES
    payload = memoryview(file)[start:]
    if file[:start] != MAGIC + hashlib.sha256(payload).digest():
        raise DamagedCheckpoint(f"{name} is unreadable (its checksum does not match)")
    try:
        content = torch.load(BytesIO(payload), weights_only=True, map_location="cpu")
        found, images, state = content["key"], content["data"], dict(content["state"])
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedCheckpoint(f"{name} is unreadable ({type(error).__name__})") from error
    if found != key:
        raise DamagedCheckpoint(f"{name} belongs to another configuration")
    if data is not None and images != data:
        raise DamagedCheckpoint(f"{name} belongs to other images, labels or splits")
    return state
