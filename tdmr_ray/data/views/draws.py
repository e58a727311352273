"""Random numbers that depend only on seed, image and view."""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
NUM_DRAWS = 32


class Draw(IntEnum):
    """Which of the numbers decides what. Numbers are added at the end: views that exist must not change."""

    ROTATION = 0
    SCALE = 1
    ASPECT = 2
    SHEAR = 3
    SHIFT_X = 4
    SHIFT_Y = 5
    CONTRAST = 6
    BRIGHTNESS = 7
    MIRROR = 8
    MIX = 9
    PARTNER = 10
    RATIO = 11
    CUT_X = 12
    CUT_Y = 13
    CUT = 14
    CROP_AREA = 15
    CROP_RATIO = 16
    CROP_X = 17
    CROP_Y = 18
    SATURATION = 19
    HUE = 20
    BLUR = 21
    BLUR_WIDTH = 22
    ERASE = 23
    ERASE_AREA = 24
    ERASE_X = 25
    ERASE_Y = 26
    SINGLE = 27
    SINGLE_OPERATION = 28
    SINGLE_AMOUNT = 29


def uniform_draws(seed: int, rows: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return numbers in [0, 1) that depend only on seed, row and view, [B, 32].

    The generator is counter-based: SplitMix64's output function over a key of the three.

    Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".
    """
    with np.errstate(over="ignore"):
        key = _scramble(np.uint64(seed) + _GOLDEN)
        key = _scramble(rows.astype(np.uint64) * _GOLDEN + key)
        key = _scramble(views.astype(np.uint64) * _GOLDEN + key)
        counter = np.arange(1, NUM_DRAWS + 1, dtype=np.uint64) * _GOLDEN
        bits = _scramble(key[:, None] + counter[None, :])
    draws: NDArray[np.float32] = (bits >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    return draws


def _scramble(state: Any) -> Any:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
