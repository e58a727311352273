"""Data sets of real images: which images are kept, and how drawings are cut out of their sheets."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks import real_sets
from benchmarks.real_sets import Picture, drawings, fashion_articles, lay_out, solar_cells


def gray(value: int) -> Image.Image:
    return Image.new("L", (4, 4), value)


def test_equal_pixels_are_kept_once_and_not_at_all_under_two_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pictures(packages: Path) -> Iterator[Picture]:
        for label, name, value in (("a", "x", 1), ("a", "y", 1), ("a", "z", 2), ("b", "z", 2), ("b", "x", 3)):
            yield Picture(label, f"{name}.png", gray(value))

    monkeypatch.setitem(real_sets.SETS, "few", pictures)
    assert lay_out("few", tmp_path, tmp_path / "sets") == "few: 2 images, 3 copies left out, {'a': 1, 'b': 1}"
    assert sorted(str(path.relative_to(tmp_path / "sets")) for path in tmp_path.rglob("*.png")) == [
        "few/a/x.png",
        "few/b/x.png",
    ]


def test_a_taken_name_gets_an_underscore(tmp_path: Path) -> None:
    for value in (1, 2, 3):
        Picture("a", "x.png", gray(value)).write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.png", "x_.png", "x__.png"]


def test_cells_of_uncertain_state_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "elpv_dataset" / "data"
    folder.mkdir(parents=True)
    lines = ["images/a.png 1.0 mono", "images/b.png 0.3333333333333333 mono", "images/c.png 0.0 poly"]
    (folder / "labels.csv").write_text("\n".join(lines))
    found = [(picture.label, picture.name) for picture in solar_cells(tmp_path)]
    assert found == [("mono_defective", "a.png"), ("poly_functional", "c.png")]


def test_first_articles_of_each_class_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_sets, "FASHION_PER_CLASS", 2)
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    labels = np.array([0, 0, 8, 0, 8], np.uint8)
    images = np.arange(5, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    with gzip.open(folder / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">ii", 2049, 5) + labels.tobytes())
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb") as file:
        file.write(struct.pack(">iiii", 2051, 5, 28, 28) + images.tobytes())
    found = [(picture.label, picture.name) for picture in fashion_articles(tmp_path)]
    assert found == [("tshirt", "00000.png"), ("tshirt", "00001.png"), ("bag", "00002.png"), ("bag", "00004.png")]


@pytest.mark.parametrize(
    ("box", "size"),
    [((100, 100, 179, 139), (90, 50)), ((0, 0, 79, 39), (85, 45)), ((100, 100, 119, 119), None), (None, None)],
    ids=["margin", "at the edge", "too small", "empty"],
)
def test_drawing_is_cut_out_with_a_margin(
    box: tuple[int, int, int, int] | None, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    folder = tmp_path / "openclipart" / "png" / "animals" / "birds"
    folder.mkdir(parents=True)
    sheet = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    if box:
        ImageDraw.Draw(sheet).rectangle(box, fill="blue")
    sheet.save(folder / "wren.png")
    found = [(picture.label, picture.content.size) for picture in drawings(tmp_path)]  # type: ignore[union-attr]
    assert found == ([("bird", size)] if size else [])
