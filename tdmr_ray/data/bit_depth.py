"""The scale of deep grey images: one for a whole set, so that equal light gives equal pixels in every image."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tdmr_ray.data.reading import SUFFIXES, BadImage, ImageSource, bits_of, grey_values, is_deep, open_image, white_of

MAYBE_DEEP = frozenset(
    [".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx", ".pfm", ".pgm", ".png", ".pnm", ".tif", ".tiff"]
)
"""Suffixes of formats that may have more than 8 bits a pixel."""


@dataclass(frozen=True)
class BitDepth:
    """White in the deep images of a set.

    Attributes:
        bits: Bits of white in integer images; None if there are none.
        float_max: White in images of floating point numbers; None if there are none.
        notes: Sentences for the summary, on what was found.
    """

    bits: int | None = None
    float_max: float | None = None
    notes: tuple[str, ...] = ()


def given_scale(bits: int) -> BitDepth:
    """Return the scale that `data.bit_depth` gives: white is the largest number of so many bits."""
    return BitDepth(bits, float(2**bits - 1))


def find_scale(sources: Iterable[ImageSource]) -> BitDepth:
    """Find one scale for a set of images, from its brightest pixel.

    Only headers are read, and the pixels of images with 16 or 32 bits a pixel; unreadable images do not count.
    """
    whole: list[float] = []
    floating: list[float] = []
    for source in sources:
        brightest = _brightest(source)
        if brightest is not None:
            (floating if brightest[1] else whole).append(brightest[0])
    bits = bits_of(max(whole)) if whole else None
    float_max = white_of(max(floating)) if floating else None
    notes = []
    if bits is not None:
        notes.append(
            f"{len(whole)} images have 16 bits a pixel; their brightest value is {max(whole):g}, so white is "
            f"{2**bits - 1} ({bits} bits) in all of them; data.bit_depth sets it"
        )
    if float_max is not None:
        notes.append(
            f"{len(floating)} images hold floating point numbers; their brightest value is {max(floating):g}, so white "
            f"is {float_max:g} in all of them; data.bit_depth sets it"
        )
    return BitDepth(bits, float_max, tuple(notes))


def _brightest(source: ImageSource) -> tuple[float, bool] | None:
    """Return the brightest value, and whether it is floating point; None for other images and unreadable ones."""
    if isinstance(source, Path) and source.suffix.lower() in SUFFIXES - MAYBE_DEEP:
        return None
    try:
        with open_image(source) as image:
            return (float(grey_values(image).max()), image.mode.startswith("F")) if is_deep(image) else None
    except BadImage:
        return None
