"""Images in a NumPy archive: `data.name: npz:FILE`."""

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.listing import Listing
from tdmr_ray.data.split_names import ANY
from tdmr_ray.errors import InputError


def list_npz(rest: str, config: DataConfig) -> Listing:
    """List the arrays `images` (uint8 [N, H, W, 3]), `labels` (int [N]) and `class_names` of a file.

    Raises:
        InputError: If there is no such file.
    """
    path = Path(rest)
    if not path.is_file():
        raise InputError("data", f"npz: must be followed by a file, got '{rest}'")
    with np.load(path) as arrays:
        images, labels, class_names = (arrays[name] for name in ("images", "labels", "class_names"))

    def open_image(row: int) -> Image.Image:
        return Image.fromarray(images[row])

    return Listing(
        names=[f"{path.name} {row}" for row in range(len(labels))],
        labels=labels.astype(np.int64),
        class_names=tuple(map(str, class_names)),
        splits=np.full(len(labels), ANY, np.int8),
        open=open_image,
        key=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
