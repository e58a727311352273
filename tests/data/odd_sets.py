"""Data sets as people really have them: each function makes one in a folder, with tiny images."""

import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pictures import BAD, GOOD
from PIL import Image

Make = Callable[[Path], object]
"""Makes a data set at a path that does not exist yet."""

SIDE_PX = 8


def picture(path: Path) -> Image.Image:
    """Coloured noise that depends on the end of its path alone, so that no two images are nearly identical."""
    seed = zlib.crc32("/".join(path.parts[-3:]).encode())
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def save(path: Path) -> Path:
    """Save an image of its own; a suffix that Pillow does not know, or none, holds a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = path.suffix.lower() in (".png", ".jpg", ".bmp")
    picture(path).save(path, None if known else "PNG")
    return path


def fill(root: Path, *folders: str, count: int = 10) -> Path:
    """Save images into folders below a root."""
    for folder in folders:
        for number in range(count):
            save(root / folder / f"{number}.png")
    return root


def pets(root: Path) -> Path:
    """Cats and dogs, ten images each."""
    return fill(root, "cat", "dog")


def filled(*folders: str, count: int = 10) -> Make:
    return lambda root: fill(root, *folders, count=count)


def with_files(*names: str, make: Make = pets) -> Make:
    """Add files, each an image of its own, to a data set."""

    def made(root: Path) -> None:
        make(root)
        for name in names:
            save(root / name)

    return made


def with_text(*names: str) -> Make:
    """Add files that are no images to cats and dogs."""

    def made(root: Path) -> None:
        pets(root)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("no image")

    return made


def with_folders(*names: str, make: Make = pets) -> Make:
    """Add empty folders to a data set."""

    def made(root: Path) -> None:
        make(root)
        for name in names:
            (root / name).mkdir(parents=True)

    return made


def with_part(folder: str, count: int, make: Make = pets) -> Make:
    """Add a folder of images to a data set."""

    def made(root: Path) -> None:
        make(root)
        fill(root, folder, count=count)

    return made


def beside(folder: str, count: int) -> Make:
    """Cats and dogs, and a folder of images outside their folder."""

    def made(root: Path) -> None:
        pets(root)
        fill(root.parent, folder, count=count)

    return made


def with_table(*rows: str) -> Make:
    """Cats and dogs, three more images, and a table `more.csv`, all but the pets outside their folder."""

    def made(root: Path) -> None:
        pets(root)
        fill(root.parent, "more", count=3)
        (root.parent / "more.csv").write_text("\n".join(["path", *rows]))

    return made


def linked(root: Path) -> None:
    """Cats, and dogs behind a link to a folder and a link to a file."""
    fill(root, "cat")
    fill(root.parent, "elsewhere")
    (root / "dog").symlink_to(root.parent / "elsewhere")
    (root / "cat" / "link.png").symlink_to(save(root.parent / "one.png"))


def broken_links(root: Path) -> None:
    pets(root)
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "bird").symlink_to(root.parent / "nowhere")


def circular_links(root: Path) -> None:
    pets(root)
    (root / "cat" / "again").symlink_to(root)
    (root / "cat" / "self.png").symlink_to(root / "cat" / "self.png")


def read_only(root: Path) -> None:
    pets(root)
    for folder in (root / "cat", root / "dog", root):
        folder.chmod(0o555)


def an_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(save(path.parent / "cat" / "0.png"), "cat/0.png")


def a_table(path: Path) -> None:
    path.write_text("path,label\n")


def bursts(root: Path) -> None:
    """Five bursts of four shots of each class."""
    for animal in ("cat", "dog"):
        for burst in range(5):
            for shot in range(4):
                save(root / animal / f"{animal}{burst}_{shot}.png")


def straddling_bursts(root: Path) -> None:
    """Bursts of which shots are in train, and others in test."""
    for animal in ("cat", "dog"):
        for burst in range(6):
            for part, shot in (("train", 0), ("train", 1), ("test", 2)):
                save(root / part / animal / f"{animal}{burst}_{shot}.png")


def copies(root: Path) -> None:
    """Six images of each class, and a smaller copy of each."""
    for animal in ("cat", "dog"):
        (root / animal).mkdir(parents=True)
        for number in range(6):
            path = root / animal / f"{number}.png"
            image = picture(path).resize((64, 64), Image.Resampling.BICUBIC)
            image.save(path)
            image.resize((48, 48), Image.Resampling.BICUBIC).save(path.with_stem(f"{number}_copy"))


def one_colour(path: Path) -> Image.Image:
    return Image.new("RGB", (SIDE_PX, SIDE_PX), "green")


def grey(path: Path) -> Image.Image:
    return picture(path).convert("L")


def one_pixel(path: Path) -> Image.Image:
    return picture(path).resize((1, 1))


def strip(path: Path) -> Image.Image:
    return picture(path).resize((2000, 1) if path.stem.endswith(("1", "3")) else (1, 2000))


def painted(paint: Callable[[Path], Image.Image]) -> Make:
    """Cats and dogs whose images are painted in one way."""

    def made(root: Path) -> None:
        for animal in ("cat", "dog"):
            (root / animal).mkdir(parents=True)
            for number in range(10):
                path = root / animal / f"{number}.png"
                paint(path).save(path)

    return made


def with_bad(*names: str) -> Make:
    """Add bad files to the cats."""

    def made(root: Path) -> None:
        pets(root)
        for name in names:
            BAD[name](root / "cat" / name)

    return made


def bad_class(root: Path) -> None:
    """Cats, dogs, and birds whose files are all text."""
    pets(root)
    for number in range(6):
        (root / "bird").mkdir(exist_ok=True)
        BAD["text.png"](root / "bird" / f"{number}.png")


def odd_formats(root: Path) -> None:
    """One of each kind of image in each class."""
    for animal in ("cat", "dog"):
        (root / animal).mkdir(parents=True)
        for name, (make, _, _) in GOOD.items():
            make(root / animal / name)


def long_path(root: Path) -> None:
    """Class folders with names of 200 characters."""
    fill(root, "cat" * 66, "dog" * 66)


def grouped_table(root: Path) -> None:
    """A table with a column of groups."""
    pets(root)
    rows = [
        f"{animal}/{number}.png,{animal},{animal}{number // 2}" for animal in ("cat", "dog") for number in range(10)
    ]
    (root / "table.csv").write_text("\n".join(["path,label,group", *rows]))


def odd_file_names(root: Path) -> None:
    """A name in an old encoding, one with a line break, and one that only a shell dislikes."""
    pets(root)
    for number, name in enumerate((b"caf\xe9.png", b"two\nlines.png", b"-rf $HOME; *.png")):
        save(root / "cat" / f"new{number}.png").rename(os.fsdecode(os.fsencode(root / "cat") + b"/" + name))


def class_in_an_old_encoding(root: Path) -> None:
    pets(root)
    (root / "cat").rename(os.fsdecode(os.fsencode(root) + b"/B\xe4r"))


def with_pipe(root: Path) -> None:
    """A named pipe, from which nobody can read without waiting forever."""
    pets(root)
    os.mkfifo(root / "cat" / "pipe")
    os.mkfifo(root / "cat" / "pipe.png")


def deep_folders(root: Path) -> None:
    """An image 500 folders deep."""
    pets(root)
    folder = root / "cat" / "/".join("a" * 500)
    save(folder / "deep.png")
