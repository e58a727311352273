"""Damage to files, as a bad disk or a machine that fails leaves it."""

import json
import random
from pathlib import Path


def _flipped(content: bytes, chance: random.Random) -> bytes:
    """Change one bit."""
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


DAMAGES = (
    _flipped,
    lambda content, chance: content[: chance.randrange(len(content))],
    lambda content, chance: b"",
    lambda content, chance: bytes(len(content)),
)


def damage(path: Path, chance: random.Random) -> None:
    """Replace a file by a damaged one; who has mapped the old one into memory keeps it."""
    content = path.read_bytes()
    if not content:
        return
    draft = path.with_name(f".{path.name}.damaged")
    draft.write_bytes(chance.choice(DAMAGES)(content, chance))
    draft.replace(path)


def damaged_line(lines: list[bytes], chance: random.Random) -> int | None:
    """Change a bit in one of the lines of a ledger that a later line replaces; return its index, None if none is."""
    ids = [json.loads(line)["id"] if line.endswith(b"\n") else "" for line in lines]
    replaced = [number for number, found in enumerate(ids) if found and found in ids[number + 1 :]]
    if not replaced:
        return None
    number = chance.choice(replaced)
    lines[number] = _flipped(lines[number][:-1], chance) + b"\n"
    return number
