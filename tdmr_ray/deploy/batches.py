"""Any number of images through a file that takes a fixed number at once. Imports no torch."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""RGB images, uint8 [B, px, px, 3]."""
Runner = Callable[[Pixels], NDArray[np.float32]]
"""Runs a file: `Pixels` to probabilities [B, C]."""


def in_batches(run: Runner, pixels: Pixels, batch: int) -> NDArray[np.float32]:
    """Run any number of images, filling the last batch with copies of its last image."""
    found = [run(_filled(pixels[start : start + batch], batch)) for start in range(0, len(pixels), batch)]
    return np.concatenate(found)[: len(pixels)]


def _filled(pixels: Pixels, batch: int) -> Pixels:
    return np.concatenate([pixels, np.repeat(pixels[-1:], batch - len(pixels), axis=0)])
