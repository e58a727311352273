"""A task as files, which all processes of a machine map into memory: decoded once, held once."""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import torch

from tdmr_ray.data.task import DataConfig, Images, Task

PARTS = ("train", "val", "test")
FACTS = "task.json"


def task_key(config: DataConfig) -> str:
    """A hash of what is loaded and of the code that loads it."""
    return f"data-{hashlib.sha256(config.model_dump_json().encode() + _code_digest()).hexdigest()[:16]}"


@cache
def _code_digest() -> bytes:
    """SHA-256 of the sources in this room."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).digest()


def save_task(task: Task, folder: Path) -> None:
    """Write a task's files into an existing folder."""
    for name in PARTS:
        part: Images = getattr(task, name)
        np.save(folder / f"{name}_images.npy", part.images.numpy())
        np.save(folder / f"{name}_labels.npy", part.labels.numpy())
    facts = {
        "num_labeled": task.num_labeled,
        "class_names": task.class_names,
        "mirror": task.mirror,
        "fingerprint": task.fingerprint,
    }
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def open_task(folder: Path) -> Task:
    """Open a task; images stay on disk, mapped into memory that all who open them share, until somebody writes."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    train, val, test = (Images(_mapped(folder, f"{name}_images"), _mapped(folder, f"{name}_labels")) for name in PARTS)
    return Task(
        train=train,
        num_labeled=facts["num_labeled"],
        val=val,
        test=test,
        class_names=tuple(facts["class_names"]),
        mirror=facts["mirror"],
        fingerprint=facts["fingerprint"],
    )


def _mapped(folder: Path, name: str) -> torch.Tensor:
    return torch.from_numpy(np.load(folder / f"{name}.npy", mmap_mode="c"))
