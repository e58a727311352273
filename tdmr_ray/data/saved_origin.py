"""Origins of tasks on disk, beside their images."""

import hashlib
import json
from pathlib import Path

import numpy as np

from tdmr_ray.data.origin import Origin

FACTS, ROWS, GROUPS = "origin.json", "rows.npy", "groups.npy"


def save_origin(origin: Origin, folder: Path) -> None:
    """Write an origin into an existing folder."""
    np.save(folder / ROWS, origin.rows)
    if origin.groups is not None:
        np.save(folder / GROUPS, origin.groups)
    facts = {
        "key": origin.key,
        "bad": list(origin.bad.items()),
        "has_groups": origin.groups is not None,
        "grouping": origin.grouping,
        "is_val_drawn": origin.is_val_drawn,
    }
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def open_origin(folder: Path) -> Origin | None:
    """Open the origin of a task; None if it was saved without one. Arrays are mapped into memory."""
    if not (folder / FACTS).exists():
        return None
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Origin(
        key=facts["key"],
        rows=np.load(folder / ROWS, mmap_mode="c"),
        bad=dict(facts["bad"]),
        groups=np.load(folder / GROUPS, mmap_mode="c") if facts["has_groups"] else None,
        grouping=facts["grouping"],
        is_val_drawn=facts["is_val_drawn"],
    )


def content_key(fingerprint: str, origin: Origin | None) -> str:
    """Return a hash of a task's images, labels and splits, of the groups of its images, and of who chose val."""
    if origin is None:
        return fingerprint
    digest = hashlib.sha256(f"{fingerprint} {origin.is_val_drawn}".encode())
    if origin.groups is not None:
        digest.update(np.ascontiguousarray(origin.groups[origin.rows]).tobytes())
    return digest.hexdigest()
