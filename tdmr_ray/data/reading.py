"""Reading of one image file: upright, RGB, square. Imports no torch: exported models read images with it too."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SUFFIXES = frozenset([".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"])
"""Suffixes of image files."""


class BadImage(ValueError):
    """A file that cannot be read as an image; the message is the reason."""


Resize = Literal["squash", "crop", "pad"]
Interpolation = Literal["bilinear", "bicubic"]
ImageSource = Path | BinaryIO | Image.Image
"""Anything that holds one image."""


@dataclass(frozen=True)
class InputFormat:
    """Everything that decides how an image file becomes a square array.

    Attributes:
        size_px: Side of the square.
        resize: Way to a square.
        interpolation: Interpolation of the resize.
        bit_depth: Bits of the brightest grey in images with 16 bits per pixel; None guesses from the image alone.
    """

    size_px: int
    resize: Resize = "squash"
    interpolation: Interpolation = "bilinear"
    bit_depth: int | None = None


def read_image(source: ImageSource, form: InputFormat) -> NDArray[np.uint8]:
    """Read an image as uint8 [3, size_px, size_px].

    The EXIF orientation is applied. Transparent pixels become white, 16 bits become 8, CMYK and grey become RGB, and
    the first frame stands for an animation. A large JPEG is decoded at a reduced scale of at least twice the size.

    Raises:
        BadImage: If the file is damaged, truncated, far too large or in floating point.
    """
    size_px = form.size_px
    try:
        with source if isinstance(source, Image.Image) else Image.open(source) as image:
            image.draft("RGB", (2 * size_px, 2 * size_px))
            upright = ImageOps.exif_transpose(image)
            small = _rgb(upright).resize((size_px, size_px), Image.Resampling.BILINEAR)
    except BadImage:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise BadImage(" ".join(str(error).split()) or type(error).__name__) from error
    return np.asarray(small).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise BadImage("holds floating point numbers; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Convert integers to 8 bits; values above 255 mean that the image has 16."""
    values = np.asarray(image, dtype=np.float32)
    scale = 257.0 if values.max() > 255 else 1.0
    return Image.fromarray((values / scale).round().clip(0, 255).astype(np.uint8))
