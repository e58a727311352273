"""Tasks on disk: decoded once, then mapped into memory that all processes of a machine share."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from tdmr_ray.code_digest import code_of_plugins, source_digest
from tdmr_ray.data.config import ARRAYS, DataConfig
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.listing import source_of
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.saved_origin import content_key, open_origin, save_origin
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.data.task import Images, Task
from tdmr_ray.data.task_folder import FACTS, IMAGES, LABELS, SPLITS


def task_key(config: DataConfig) -> str:
    """Return a hash of the data section, the user's files and the code that decodes them.

    Raises:
        InputError: If the data set cannot be listed.
    """
    source = source_of(config.name)
    plugins = code_of_plugins(source) if source else []
    parts = (config.model_dump_json(), load_dataset(config).key, source_digest(__name__), *plugins)
    return f"data-{hashlib.sha256(''.join(parts).encode()).hexdigest()[:16]}"


def decode_task(
    config: DataConfig,
    folder: Path,
    on_progress: Callable[[int], object] = lambda count: None,
    known: Task | None = None,
    also_known: Sequence[Task] = (),
) -> None:
    """Decode a task's images straight into a file, so that they need not fit into memory.

    Images that a known task holds are copied from there in blocks. Only the others are decoded.

    Args:
        config: Data section of the configuration.
        folder: Existing folder for the files.
        on_progress: Called with the number of newly decoded images.
        known: See `load_task`.
        also_known: See `load_task`.

    Raises:
        InputError: If `load_task` raises it.
    """

    def allocate(shape: tuple[int, ...]) -> NDArray[np.uint8]:
        images: NDArray[np.uint8] = open_memmap(folder / IMAGES, mode="w+", dtype=np.uint8, shape=shape)
        return images

    _save_facts(load_task(config, allocate, on_progress, known, also_known), folder)


def save_task(task: Task, folder: Path) -> None:
    """Write a task into an existing folder, for `open_task` and, by `saved_task_config`, for a search."""
    np.save(folder / IMAGES, torch.cat([getattr(task, name).images for name in SPLITS]).numpy())
    _save_facts(task, folder)


def saved_task_key(task: Task) -> str:
    """Return the key in a store for a task that `save_task` writes."""
    return f"arrays-{content_key(task.fingerprint, task.origin)[:16]}"


def saved_task_config(folder: Path) -> DataConfig:
    """Return the data section with which a search uses a task that `save_task` wrote; the splits stay as saved.

    `data.draw` divides the labelled images of train and val anew if val was drawn before the task was saved; a val
    split that was given stays. `data.join` and `data.folds` use the labels that were saved: those that `shots` hid
    remain hidden. Groups of images stay together.

    Only the process that starts a search reads the folder. Workers take the decoded images from the store by key.
    """
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    form = InputFormat(**facts["form"])
    return DataConfig(
        name=f"{ARRAYS}{folder}",
        unlabeled=facts["num_labeled"] < facts["sizes"][0],
        resize=form.resize,
        interpolation=form.interpolation,
    )


def _save_facts(task: Task, folder: Path) -> None:
    np.save(folder / LABELS, torch.cat([getattr(task, name).labels for name in SPLITS]).numpy())
    facts = {
        "sizes": [len(getattr(task, name)) for name in SPLITS],
        "num_labeled": task.num_labeled,
        "class_names": task.class_names,
        "preset": task.preset,
        "fingerprint": task.fingerprint,
        "notes": task.notes,
        "form": asdict(task.input_format),
        "default_px": task.default_px,
        "summary": task.summary.model_dump(mode="json") if task.summary else None,
    }
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
    if task.origin is not None:
        save_origin(task.origin, folder)


def open_task(folder: Path) -> Task:
    """Open a saved task; its images are mapped into memory, copy on write, and shared by all processes."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    images, labels = (torch.from_numpy(np.load(folder / name, mmap_mode="c")) for name in (IMAGES, LABELS))
    sizes = facts["sizes"]
    origin = open_origin(folder)
    train, val, test = (Images(*pair) for pair in zip(images.split(sizes), labels.split(sizes), strict=True))
    if origin is not None:
        ids = torch.from_numpy(np.array(origin.rows)).split(sizes)
        train, val, test = (replace(split, ids=own) for split, own in zip((train, val, test), ids, strict=True))
    return Task(
        train=train,
        num_labeled=facts["num_labeled"],
        val=val,
        test=test,
        class_names=tuple(facts["class_names"]),
        preset=facts["preset"],
        fingerprint=facts["fingerprint"],
        notes=tuple(facts["notes"]),
        form=InputFormat(**facts["form"]),
        default_px=facts["default_px"],
        summary=DataSummary.model_validate(facts["summary"]) if facts["summary"] else None,
        origin=origin,
    )
