"""The files of a saved task, and the data set that they hold."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tdmr_ray.data.bit_depth import BitDepth
from tdmr_ray.data.dataset import Dataset, in_memory
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.saved_origin import content_key, open_origin
from tdmr_ray.data.split_names import TEST, TRAIN, VAL
from tdmr_ray.errors import InputError

IMAGES, LABELS, FACTS = "images.npy", "labels.npy", "task.json"
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}
"""Splits in the order in which their images are stored."""


def open_dataset(folder: Path) -> Dataset:
    """Open a folder that `save_task` wrote as a data set with fixed splits; images are mapped into memory.

    If val was drawn before the task was saved, `data.draw` may draw it again. Images keep the groups of their origin.

    Raises:
        InputError: If the folder does not hold a saved task.
    """
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        images, labels = (torch.from_numpy(np.load(folder / name, mmap_mode="c")) for name in (IMAGES, LABELS))
        origin = open_origin(folder)
    except (OSError, ValueError) as error:
        raise InputError("data", f"{folder} must hold a task that save_task wrote, got: {error}") from error
    splits = np.repeat(np.array(list(SPLITS.values()), np.int8), facts["sizes"])
    names = tuple(facts["class_names"])
    form = InputFormat(**facts["form"])
    key = content_key(facts["fingerprint"], origin)
    dataset = in_memory(images, labels, names, preset=facts["preset"], splits=splits, key=key)
    return replace(
        dataset,
        find_scale=lambda: BitDepth(form.bit_depth, form.float_max),
        default_px=facts["default_px"],
        groups=None if origin is None or origin.groups is None else np.array(origin.groups[origin.rows]),
        is_val_drawn=origin is not None and origin.is_val_drawn,
    )
