"""Any table and any folder is a listing of images, or one message about it."""

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from helpers.refusals import result_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tdmr_ray.data.config import Columns, DataConfig
from tdmr_ray.data.listing.folders import list_folder
from tdmr_ray.data.listing.listing import Listing
from tdmr_ray.data.listing.tables import list_csv
from tdmr_ray.data.small_classes import drop_small_classes

HEADERS = st.sampled_from(["path", "label", "split", "group", "Path", "file", "class", "", "path;label", "\ufeffpath"])
CELLS = st.sampled_from(
    [
        "a.png",
        "b.png",
        "./a.png",
        "missing.png",
        "cat",
        "dog",
        "",
        " ",
        "train",
        "TEST",
        "valid",
        '"',
        "sep=;",
        "\x00",
        "é",
        "3",
    ]
) | st.text(max_size=6)
PARTS = st.sampled_from(
    [
        "cat",
        "dog",
        "train",
        "val",
        "TEST",
        "unlabeled",
        "a.png",
        "b.JPG",
        ".hidden",
        "Thumbs.db",
        "notes.txt",
        "cat.png",
        "ü",
    ]
)


def png() -> bytes:
    content = BytesIO()
    Image.new("RGB", (4, 4)).save(content, "png")
    return content.getvalue()


PNG = png()


def check_listing(make: Callable[[], Listing]) -> None:
    """Accept a listing whose fields agree, or a message."""
    if (found := result_of(make)) is not None:
        assert len(found.labels) == len(found.names) == len(found.splits) > 0
        assert set(found.labels) <= {-1, *range(len(found.class_names))}
        assert len(found.class_names) >= 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two images, for tables."""
    folder = tmp_path_factory.mktemp("tables")
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(PNG)
    return folder


@given(content=st.binary(max_size=300))
def test_any_bytes_as_a_table(folder: Path, content: bytes) -> None:
    path = folder / "table.csv"
    path.write_bytes(content)
    check_listing(lambda: list_csv(path, Columns()))


@given(
    header=st.lists(HEADERS, min_size=1, max_size=4),
    rows=st.lists(st.lists(CELLS, max_size=5), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_any_cells(folder: Path, header: list[str], rows: list[list[str]], delimiter: str, encoding: str) -> None:
    path = folder / "table.csv"
    text = "\n".join(delimiter.join(row) for row in [header, *rows])
    path.write_bytes(text.encode(encoding, errors="replace"))
    check_listing(lambda: list_csv(path, Columns()))


@given(
    paths=st.sets(st.lists(PARTS, min_size=1, max_size=4).map(tuple), max_size=12),
    layout=st.sampled_from(["auto", "classes"]),
    loose=st.sampled_from([None, True, "loose"]),
    drop=st.booleans(),
)
def test_any_tree(
    tmp_path_factory: pytest.TempPathFactory, paths: set[tuple[str, ...]], layout: str, loose: object, drop: bool
) -> None:
    root = tmp_path_factory.getbasetemp() / "tree"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for parts in sorted(paths):
        path = root.joinpath(*parts)
        if any(parent.is_file() for parent in path.parents) or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    config = DataConfig.model_validate(
        {"name": str(root), "layout": layout, "unlabeled": loose, "drop_small_classes": drop}
    )
    check_listing(lambda: drop_small_classes(list_folder(root, config)) if drop else list_folder(root, config))
