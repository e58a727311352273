"""Generated JPEGs of mixed sizes, for benchmarks that need a folder of the user's own images."""

from pathlib import Path

import numpy as np
from PIL import Image


def make_images(root: Path, count: int, sides_px: tuple[int, int], num_classes: int = 10) -> Path:
    """Write class folders of coarse noise, which JPEG compresses about as well as a photo, and return the root."""
    chance = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"class {number % num_classes}"
        folder.mkdir(parents=True, exist_ok=True)
        coarse = chance.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        width, height = (int(side) for side in chance.integers(*sides_px, 2))
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
    return root
