"""Image files of every kind, made here: good ones that are hard to read, and bad ones."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 60, 40


def two_halves() -> Image.Image:
    """Left half red, right half blue."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:, : WIDTH // 2, 0] = 255
    pixels[:, WIDTH // 2 :, 2] = 255
    return Image.fromarray(pixels)


def _turned(path: Path) -> None:
    """Stored lying on its side, with EXIF data that say so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    two_halves().rotate(90, expand=True).save(path, exif=exif, quality=95)


def _see_through(path: Path) -> None:
    """The right half cannot be seen."""
    image = two_halves().convert("RGBA")
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, WIDTH // 2 :] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(path)


def _sixteen_bits(path: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.uint16)
    values[:, : WIDTH // 2] = 65535
    Image.fromarray(values).save(path)


def _floating(path: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.float32)
    values[:, : WIDTH // 2] = 0.5
    values[0, 0] = 1
    Image.fromarray(values).save(path)


def _two_pictures(path: Path) -> None:
    two_halves().save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT), "green")])


def _animated(path: Path) -> None:
    two_halves().save(path, save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT), "green")])


def _truncated(path: Path) -> None:
    content = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(content, "JPEG")
    path.write_bytes(content.getvalue()[:3000])


GOOD: dict[str, tuple[Callable[[Path], None], tuple[int, int, int], tuple[int, int, int]]] = {
    "plain.png": (lambda path: two_halves().save(path), (255, 0, 0), (0, 0, 255)),
    "plain.webp": (lambda path: two_halves().save(path, lossless=True), (255, 0, 0), (0, 0, 255)),
    "photo.JPG": (lambda path: two_halves().save(path, "JPEG", quality=95), (255, 0, 0), (0, 0, 255)),
    "turned.jpg": (_turned, (255, 0, 0), (0, 0, 255)),
    "palette.png": (lambda path: two_halves().quantize(4).save(path), (255, 0, 0), (0, 0, 255)),
    "animated.gif": (_animated, (255, 0, 0), (0, 0, 255)),
    "grey.png": (lambda path: two_halves().convert("L").save(path), (76, 76, 76), (29, 29, 29)),
    "bits.png": (lambda path: two_halves().getchannel(0).convert("1").save(path), (255, 255, 255), (0, 0, 0)),
    "cmyk.jpg": (lambda path: two_halves().convert("CMYK").save(path, quality=95), (255, 0, 0), (0, 0, 255)),
    "see_through.png": (_see_through, (255, 0, 0), (255, 255, 255)),
    "sixteen.png": (_sixteen_bits, (255, 255, 255), (0, 0, 0)),
    "sixteen.tif": (_sixteen_bits, (255, 255, 255), (0, 0, 0)),
    "floating.tif": (_floating, (128, 128, 128), (0, 0, 0)),
    "photo.jfif": (lambda path: two_halves().save(path, "JPEG", quality=95), (255, 0, 0), (0, 0, 255)),
    "photo.avif": (lambda path: two_halves().save(path, quality=95), (255, 0, 0), (0, 0, 255)),
    "photo.jp2": (lambda path: two_halves().save(path), (255, 0, 0), (0, 0, 255)),
    "photo.mpo": (_two_pictures, (255, 0, 0), (0, 0, 255)),
    "photo.tga": (lambda path: two_halves().save(path), (255, 0, 0), (0, 0, 255)),
    "jpeg.HEIC": (lambda path: two_halves().save(path, "JPEG", quality=95), (255, 0, 0), (0, 0, 255)),
    "png.jpg": (lambda path: two_halves().save(path, "PNG"), (255, 0, 0), (0, 0, 255)),
}
"""How it is made, and the colours of its left and right halves."""

BAD: dict[str, Callable[[Path], object]] = {
    "empty.jpg": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("not an image"),
    "truncated.jpg": _truncated,
    "bomb.png": lambda path: Image.new("1", (20_000, 20_000)).save(path),
}


def make_folder(root: Path, count: int, classes: tuple[str, ...] = ("left", "right")) -> Path:
    """A folder for each class, with so many images of mixed sizes; which half is bright is the class."""
    chance = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for index in range(count):
            width, height = chance.integers(40, 200, 2)
            pixels = chance.integers(0, 120, (height, width, 3), dtype=np.uint8)
            start = number * width // len(classes)
            pixels[:, start : start + width // len(classes)] += 130
            Image.fromarray(pixels).save(root / name / f"{index}.jpg")
    return root
