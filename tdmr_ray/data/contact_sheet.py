"""Contact sheets: the first images of each class in one picture, as a network sees them."""

import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tdmr_ray.data.task import Task

COLUMNS, ROWS, GAP_PX, LARGEST_PX = 8, 5, 2, 96
"""Images beside and above one another, pixels between them, and the largest side of one."""
UNLABELED_SHEET = "unlabeled"


def write_contact_sheets(task: Task, folder: Path) -> list[Path]:
    """Write a PNG for each class, and one for images without labels; return their paths.

    Args:
        task: The images; labelled ones of all splits are shown, train first.
        folder: Folder for the files; made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    splits = (task.labeled, task.val, task.test)
    written = []
    for number, name in enumerate(task.class_names):
        images = torch.cat([split.images[split.labels == number][: COLUMNS * ROWS] for split in splits])
        written.append(_write(images, folder / f"{number:03d}-{_file_name(name)}.png"))
    if len(task.train) > task.num_labeled:
        written.append(_write(task.train.images[task.num_labeled :], folder / f"{UNLABELED_SHEET}.png"))
    return written


def contact_sheet(images: Tensor) -> Image.Image:
    """Return a picture of the first images, uint8 [N, 3, S, S], in rows."""
    shown = images[: COLUMNS * ROWS]
    side = min(images.shape[-1], LARGEST_PX)
    step = side + GAP_PX
    size = (COLUMNS * step + GAP_PX, -(-len(shown) // COLUMNS) * step + GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for place, image in enumerate(shown):
        picture = Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
        corner = (GAP_PX + place % COLUMNS * step, GAP_PX + place // COLUMNS * step)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), corner)
    return sheet


def _write(images: Tensor, path: Path) -> Path:
    contact_sheet(images).save(path)
    return path


def _file_name(name: str) -> str:
    """Return a class name without the characters that some file systems refuse."""
    return re.sub(r"[^\w\- ]", "_", name)[:80] or "_"
