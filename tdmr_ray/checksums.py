"""Checksums of files, and of JSON objects, which carry theirs as a field."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKSUM = "crc32"
"""Field of a JSON object that holds its checksum."""


class DamagedJson(ValueError):
    """A text is no JSON object, or not the one that was written."""


def with_checksum(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum as the last field."""
    return {**tree, CHECKSUM: _checksum(tree)}


def checked_object(text: bytes, *, required: bool = False) -> dict[str, Any]:
    """Parse a JSON object and return it without its checksum.

    Args:
        text: The JSON.
        required: Whether an object without a checksum is refused.

    Raises:
        DamagedJson: If it is no JSON object, or does not match its checksum.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedJson("it is not JSON") from error
    if not isinstance(tree, dict):
        raise DamagedJson("it is not a JSON object")
    expected = tree.pop(CHECKSUM, None)
    if expected is None and required:
        raise DamagedJson("it has no checksum")
    if expected is not None and expected != _checksum(tree):
        raise DamagedJson("its checksum does not match")
    return tree


def write_checked(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a JSON object with its checksum, for `checked_object`."""
    path.write_text(json.dumps(with_checksum(tree), indent=1, ensure_ascii=False), encoding="utf-8")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(tree: Mapping[str, Any]) -> str:
    """Return the CRC-32 of an object's canonical JSON."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"
