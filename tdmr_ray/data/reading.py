"""Reading of one image file: upright, RGB, square. Imports no torch: exported models read images with it too."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset(
    [
        ".apng",
        ".avif",
        ".avifs",
        ".bmp",
        ".dib",
        ".gif",
        ".heic",
        ".heif",
        ".hif",
        ".j2c",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpc",
        ".jpe",
        ".jpeg",
        ".jpf",
        ".jpg",
        ".jpx",
        ".mpo",
        ".pbm",
        ".pcx",
        ".pfm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".psd",
        ".qoi",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
"""Suffixes of image files."""

SNIFFED = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are recognised by content where the suffix says nothing; each has an unmistakable signature."""

HEIF_BRANDS = frozenset([b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"])


class BadImage(ValueError):
    """A file that cannot be read as an image; the message is the reason."""


Resize = Literal["squash", "crop", "pad"]
Interpolation = Literal["bilinear", "bicubic"]
ImageSource = Path | BinaryIO | Image.Image
"""Anything that holds one image."""

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class InputFormat:
    """Everything that decides how an image file becomes a square array.

    Attributes:
        size_px: Side of the square.
        resize: Way to a square.
        interpolation: Interpolation of the resize.
        bit_depth: Bits of white in images with 16 or 32 bits per pixel; None guesses from the image alone.
        float_max: White in images of floating point numbers; None guesses from the image alone.
    """

    size_px: int
    resize: Resize = "squash"
    interpolation: Interpolation = "bicubic"
    bit_depth: int | None = None
    float_max: float | None = None


def is_image(path: Path) -> bool:
    """Return whether a file is an image, judged by its suffix or, where that says nothing, by its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return is_heif(file) or _is_sniffed(file)
    except OSError:
        return False


def read_image(source: ImageSource, form: InputFormat) -> NDArray[np.uint8]:
    """Read an image as uint8 [3, size_px, size_px].

    The EXIF orientation is applied. Transparent pixels become white, deep greys become 8 bits, CMYK and grey become
    RGB, and the first frame stands for an animation. A large JPEG is decoded at a reduced scale at which both sides
    are still at least twice the size.

    Raises:
        BadImage: If the file is damaged, truncated or far too large.
    """
    size_px = form.size_px
    with open_image(source) as image:
        image.draft("RGB", (2 * size_px, 2 * size_px))
        upright = ImageOps.exif_transpose(image)
        square = to_square(_rgb(upright, form), form)
    return np.asarray(square).transpose(2, 0, 1)


def to_square(image: Image.Image, form: InputFormat) -> Image.Image:
    """Scale an image to a square in one step."""
    size, method = (form.size_px, form.size_px), RESAMPLING[form.interpolation]
    if form.resize == "crop":
        side, width, height = min(image.size), *image.size
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if form.resize == "pad":
        return ImageOps.pad(image, size, method)
    return image.resize(size, method)


@contextmanager
def open_image(source: ImageSource) -> Iterator[Image.Image]:
    """Open an image for as long as the context lasts.

    Raises:
        BadImage: If Pillow cannot read it, on opening or within the context.
    """
    try:
        with source if isinstance(source, Image.Image) else _open(source) as image:
            yield image
    except BadImage:
        raise
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        Image.DecompressionBombError,
    ) as error:
        raise BadImage(" ".join(str(error).split()) or type(error).__name__) from error


def is_heif(file: BinaryIO) -> bool:
    """Return whether a file begins like HEIC or HEIF; its position is kept."""
    start = file.tell()
    head = file.read(12)
    file.seek(start)
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


def _open(source: Path | BinaryIO) -> Image.Image:
    try:
        return Image.open(source)
    except UnidentifiedImageError:
        if not _holds_heif(source):
            raise
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise BadImage("is HEIC, which needs pillow-heif; do: pip install 'tdmr_ray[heic]'") from error
    register_heif_opener()
    if not isinstance(source, Path):
        source.seek(0)
    return Image.open(source)


def _holds_heif(source: Path | BinaryIO) -> bool:
    if isinstance(source, Path):
        with source.open("rb") as file:
            return is_heif(file)
    source.seek(0)
    return is_heif(source)


def _is_sniffed(file: BinaryIO) -> bool:
    try:
        with Image.open(file, formats=SNIFFED):
            return True
    except Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError, EOFError, struct.error):
        return False


def _rgb(image: Image.Image, form: InputFormat) -> Image.Image:
    if is_deep(image):
        image = _eight_bits(image, form)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return image.convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Return whether an image has more than 8 bits a pixel: integers (I, I;16, ...) or floating point (F)."""
    return image.mode.startswith(("I", "F"))


def grey_values(image: Image.Image) -> NDArray[np.float32]:
    """Return the pixels of a deep image, [H, W]; those that are no finite number are 0."""
    return np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def bits_of(brightest: float) -> int:
    """Return the bits of white, for the brightest value of a set of integers."""
    return next((bits for bits in (8, 10, 12, 14, 16) if brightest < 2**bits), int(brightest).bit_length())


def white_of(brightest: float) -> float:
    """Return white for the brightest value of a set of floating point numbers: 1, 255 or that value.

    A brightest value just above 1 says that white is 1 with an overshoot, not that all is nearly black.
    """
    if brightest <= 1:
        return 1.0
    return 255.0 if 16 < brightest <= 255 else brightest


def _eight_bits(image: Image.Image, form: InputFormat) -> Image.Image:
    values = grey_values(image)
    brightest = float(values.max())
    if image.mode.startswith("F"):
        white = form.float_max if form.float_max is not None else white_of(brightest)
    else:
        bits = form.bit_depth if form.bit_depth is not None else bits_of(brightest)
        white = float(2**bits - 1)
    return Image.fromarray((values * (255.0 / white)).round().clip(0, 255).astype(np.uint8))
