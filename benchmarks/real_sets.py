"""Lay out the images of unpacked packages as folders of classes: the data sets of the benchmarks with real images.

Run:    python benchmarks/real_sets.py PACKAGES SETS [elpv4 elpv2 fashion clipart]   (`real_assets.sh` does it)
Cost:   a minute.
Result: SETS/NAME/CLASS/IMAGE, for example assets/sets/elpv4/mono_defective/cell0001.png.

If several images have equal pixels, one of them is kept; if their labels differ, all are left out. `elpv2` is `elpv4`
with the material removed from the labels. `fashion` holds the first 500 images of each class.
"""

import gzip
import hashlib
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from PIL import Image

FASHION_CLASSES = ["tshirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle_boot"]
FASHION_PER_CLASS = 500
CLIPART_FOLDERS = {
    "mammal": "animals/mammals",
    "bird": "animals/birds",
    "bug": "animals/bugs",
    "fruit": "food/fruit",
    "dessert": "food/desserts",
    "drink": "food/beverages",
    "flower": "plants/flowers",
    "vehicle": "transportation/vehicles",
    "music": "recreation/music",
    "sport": "recreation/sports",
    "clothing": "people/clothing",
    "hardware": "computer/hardware",
    "home": "buildings/homes",
    "smiley": "people/smilies",
}
CLIPART_PX, MAX_PIXELS, MIN_DRAWING_PX = 256, 3e7, 40
PAPER = 250
"""Grey value from which on a pixel belongs to the empty sheet."""


class Picture(NamedTuple):
    """An image of a data set: a file that is copied as it is, or pixels that are written as PNG."""

    label: str
    name: str
    content: Path | Image.Image

    @property
    def digest(self) -> str:
        """A hash of size and pixels."""
        if isinstance(self.content, Path):
            with Image.open(self.content) as opened:
                pixels = opened.convert("RGB")
        else:
            pixels = self.content.convert("RGB")
        return hashlib.sha256(str(pixels.size).encode() + pixels.tobytes()).hexdigest()

    def write(self, folder: Path) -> None:
        """Write the image into a folder; a name that is taken gets an underscore."""
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / self.name
        while place.exists():
            place = place.with_stem(f"{place.stem}_")
        if isinstance(self.content, Path):
            shutil.copyfile(self.content, place)
        else:
            self.content.save(place)


def solar_cells(packages: Path) -> Iterator[Picture]:
    """Yield the cells that experts graded as certainly defective or functional (elpv-dataset, CC-BY-NC-SA-4.0)."""
    table = next(packages.rglob("elpv_dataset/data/labels.csv"))
    for line in table.read_text().splitlines():
        path, probability, material = line.split()
        state = {"0.0": "functional", "1.0": "defective"}.get(probability)
        if state:
            yield Picture(f"{material}_{state}", Path(path).name, table.parent / path)


def fashion_articles(packages: Path) -> Iterator[Picture]:
    """Yield articles of clothing, 28 px (dataset-fashion-mnist, MIT)."""
    folder = next(packages.rglob("fashion-mnist/train-images-idx3-ubyte.gz")).parent
    with gzip.open(folder / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    seen: Counter[int] = Counter()
    for number, label in enumerate(labels.tolist()):
        seen[label] += 1
        if seen[label] <= FASHION_PER_CLASS:
            yield Picture(FASHION_CLASSES[label], f"{number:05d}.png", Image.fromarray(images[number]))


def drawings(packages: Path) -> Iterator[Picture]:
    """Yield drawings without the empty sheet around them (openclipart-png, public domain)."""
    root = next(packages.rglob("openclipart/png"))
    for label, folder in CLIPART_FOLDERS.items():
        for path in sorted((root / folder).rglob("*.png")):
            if drawing := _cut_out(path):
                yield Picture(label, f"{path.stem}.png", drawing)


def _cut_out(path: Path) -> Image.Image | None:
    """Return a drawing with a small margin, at most 256 px; None if it is too large, too small or incomplete."""
    with Image.open(path) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            return None
        drawing = opened.convert("RGBA")
    if _has_missing_part(drawing):
        return None
    sheet = Image.new("RGBA", drawing.size, "white")
    sheet.alpha_composite(drawing)
    image = sheet.convert("RGB")
    box = image.convert("L").point(lambda grey: 255 * (grey < PAPER)).getbbox()
    if box is None:
        return None
    left, top, right, bottom = box
    longest = max(right - left, bottom - top)
    if longest < MIN_DRAWING_PX:
        return None
    margin = longest // 16
    far = (min(image.width, right + margin), min(image.height, bottom + margin))
    image = image.crop((max(0, left - margin), max(0, top - margin), *far))
    image.thumbnail((CLIPART_PX, CLIPART_PX), Image.Resampling.LANCZOS)
    return image


def _has_missing_part(drawing: Image.Image) -> bool:
    """Whether a drawing shows the red cross and words that Inkscape draws for a linked image it did not find."""
    colors = Counter(map(tuple, np.asarray(drawing).reshape(-1, 4)[::7, :3].tolist()))
    return colors[255, 27, 27] + colors[255, 24, 24] > 15 and colors[255, 0, 0] > 300


SETS: dict[str, Callable[[Path], Iterator[Picture]]] = {
    "elpv4": solar_cells,
    "elpv2": lambda packages: (picture._replace(label=picture.label[5:]) for picture in solar_cells(packages)),
    "fashion": fashion_articles,
    "clipart": drawings,
}


def lay_out(name: str, packages: Path, sets: Path) -> str:
    """Write one set anew; return a line that says what it holds."""
    shutil.rmtree(sets / name, ignore_errors=True)
    alike: dict[str, list[Picture]] = defaultdict(list)
    for picture in SETS[name](packages):
        alike[picture.digest].append(picture)
    kept = [pictures[0] for pictures in alike.values() if len({picture.label for picture in pictures}) == 1]
    for picture in kept:
        picture.write(sets / name / picture.label)
    num_left_out = sum(map(len, alike.values())) - len(kept)
    counts = Counter(picture.label for picture in kept)
    return f"{name}: {len(kept)} images, {num_left_out} copies left out, {dict(counts.most_common())}"


def main(
    packages: Annotated[Path, typer.Argument(help="folder into which the packages were unpacked")],
    sets: Annotated[Path, typer.Argument(help="folder of the data sets")],
    names: Annotated[list[str] | None, typer.Argument(help="data sets; all if there are none")] = None,
) -> None:
    """Lay out data sets."""
    for name in names or SETS:
        print(lay_out(name, packages, sets), flush=True)


if __name__ == "__main__":
    typer.run(main)
