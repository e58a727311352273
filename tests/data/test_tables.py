"""Tables of images as people have them: one message lists every problem, and no file gives a traceback."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pictures import two_halves

from tdmr_ray.data.config import Columns, DataConfig
from tdmr_ray.data.listing import Listing, list_images
from tdmr_ray.data.listing.tables import list_csv, read_paths
from tdmr_ray.data.reading import InputFormat, read_image
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError

PLAIN = "path,label\na.png,cat\nb.png,dog\nsub/c.png,cat\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four images, one of them in a folder below it."""
    root = tmp_path_factory.mktemp("images")
    (root / "sub").mkdir()
    for name in ("a.png", "b.png", "sub/c.png", "d, e.png"):
        two_halves().save(root / name)
    return root


def listed(folder: Path, content: str | bytes, columns: Columns | None = None) -> Listing:
    """List a table with this content beside the images of `folder`."""
    table = folder / "labels.csv"
    table.write_bytes(content.encode() if isinstance(content, str) else content)
    return list_csv(table, columns or Columns())


def seen(listing: Listing) -> list[tuple[str, str]]:
    """Return name and class of each image; an unlabelled image has the class '-'."""
    classes = [listing.class_names[number] if number != UNLABELED else "-" for number in listing.labels]
    return list(zip(listing.names, classes, strict=True))


PLAIN_FORMS = {
    "UTF-8": PLAIN.encode(),
    "UTF-8 with a byte order mark": PLAIN.encode("utf-8-sig"),
    "UTF-16 with a byte order mark": PLAIN.encode("utf-16"),
    "big-endian UTF-16 with a byte order mark": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "UTF-16 without a byte order mark": PLAIN.encode("utf-16-le"),
    "big-endian UTF-16 without a byte order mark": PLAIN.encode("utf-16-be"),
    "semicolons": PLAIN.replace(",", ";").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "Excel's line that declares semicolons": b"sep=;\n" + PLAIN.replace(",", ";").encode(),
    "Excel's line that declares tabs": b"sep=\t\n" + PLAIN.replace(",", "\t").encode(),
    "line ends of Windows": PLAIN.replace("\n", "\r\n").encode(),
    "line ends of old Macs": PLAIN.replace("\n", "\r").encode(),
    "no line end at the end": PLAIN.rstrip().encode(),
    "spaces around cells": b' path , label \n a.png ,  cat\nb.png, dog \n"sub/c.png" ,\tcat\n',
    "quoted cells": b'"path","label"\n"a.png","cat"\n"b.png","dog"\n"sub/c.png","cat"\n',
    "separators of Windows": PLAIN.replace("sub/", "sub\\").encode(),
    "blank lines": b'\n,,\npath,label\n\na.png,cat\n , \nb.png,dog\n"",\nsub/c.png,cat\n\n',
    "column names in capitals": PLAIN.replace("path,label", "PATH,Label").encode(),
    "columns in another order, and more of them": b"n,label,note,path\n1,cat,,a.png\n2,dog,x;y,b.png\n3,cat,,sub/c.png",
    "cells of several lines": b'path,label,note\na.png,cat,"two\nlines"\nb.png,dog,\nsub/c.png,cat,\n',
    "empty cells beyond the header": b"path,label\na.png,cat,,\nb.png,dog\nsub/c.png,cat,\n",
}


@pytest.mark.parametrize("form", PLAIN_FORMS)
def test_table_is_read_in_any_form(form: str, folder: Path) -> None:
    listing = listed(folder, PLAIN_FORMS[form])
    assert seen(listing) == [("a.png", "cat"), ("b.png", "dog"), ("sub/c.png", "cat")]
    assert (listing.splits == ANY).all()
    assert (listing.groups, listing.ignored, listing.warnings) == ((), {}, [])


def test_table_in_cp1252_is_read_with_a_warning(folder: Path) -> None:
    listing = listed(folder, "path,label\na.png,Fähre\nb.png,Boot €\n".encode("cp1252"))
    assert listing.class_names == ("Boot €", "Fähre")
    assert listing.warnings == [
        f"{folder}/labels.csv is not UTF-8 and is read as Windows text (cp1252); check the class names"
    ]


def test_quoted_path_may_contain_the_delimiter(folder: Path) -> None:
    assert seen(listed(folder, 'path,label\n"d, e.png",cat\na.png,dog\n'))[0] == ("d, e.png", "cat")


def test_file_with_a_backslash_in_its_name_is_preferred(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("sub\\a.png", "sub/a.png", "b.png"):
        two_halves().save(tmp_path / name)
    listing = listed(tmp_path, "path,label\nsub\\a.png,cat\nb.png,dog\n")
    assert listing.open(0) == tmp_path / "sub\\a.png"


def test_absolute_paths_and_images_elsewhere_are_listed(folder: Path, tmp_path: Path) -> None:
    listing = listed(tmp_path, f"path,label\n{folder}/a.png,cat\n{folder}/b.png,dog\n")
    assert read_image(listing.open(1), InputFormat(8)).shape == (3, 8, 8)


SPLITS = {
    "train": TRAIN,
    "Training": TRAIN,
    "VAL": VAL,
    "valid": VAL,
    "Validation": VAL,
    "dev": VAL,
    " Test ": TEST,
    "testing": TEST,
    "": ANY,
}


@pytest.mark.parametrize("name", SPLITS)
def test_split_is_known_by_any_usual_name(name: str, folder: Path) -> None:
    listing = listed(folder, f"path,label,split\na.png,cat,{name}\nb.png,dog,train\n")
    assert listing.splits.tolist() == [SPLITS[name], TRAIN]


@pytest.mark.parametrize("row", ["sub/c.png,,", "sub/c.png,,train", "sub/c.png,dog,unlabeled", "sub/c.png,,Unlabelled"])
def test_image_without_a_label_joins_training_unlabelled(row: str, folder: Path) -> None:
    listing = listed(folder, f"path,label,split\na.png,cat,\nb.png,dog,\n{row}\n")
    assert seen(listing) == [("a.png", "cat"), ("b.png", "dog"), ("sub/c.png", "-")]
    assert listing.splits.tolist() == [ANY, ANY, TRAIN]


def test_columns_may_have_names_of_the_users_own(folder: Path) -> None:
    columns = Columns(path="img", label="species", split="set", group="plant")
    text = "plant;img;set;Species;label\np1;a.png;train;oak;x\np1;b.png;test;elm;x\n;sub/c.png;;;x\n"
    listing = listed(folder, text, columns)
    assert seen(listing) == [("a.png", "oak"), ("b.png", "elm"), ("sub/c.png", "-")]
    assert listing.splits.tolist() == [TRAIN, TEST, TRAIN]
    assert listing.groups == ["p1", "p1", ""]
    table = DataConfig(name=f"csv:{folder}/labels.csv", columns=columns)
    assert list_images(table).class_names == ("elm", "oak")


def test_key_changes_with_groups(folder: Path) -> None:
    text = "path,label,group\na.png,cat,1\nb.png,dog,2\n"
    assert listed(folder, text).key == listed(folder, text).key != listed(folder, text.replace(",2", ",1")).key


def test_repeated_rows_are_left_out_and_counted(folder: Path) -> None:
    listing = listed(folder, PLAIN + "./a.png,cat\nsub\\c.png,cat\n")
    assert len(listing.names) == 3
    assert listing.ignored == {"repeated rows": ["./a.png", "sub\\c.png"]}


def test_class_names_that_are_almost_equal_are_warned_of(folder: Path) -> None:
    listing = listed(folder, "path,label\na.png,Cat\nb.png,cat\nsub/c.png,dog\n")
    assert listing.class_names == ("Cat", "cat", "dog")
    assert listing.warnings == [
        f"{folder}/labels.csv: classes that are almost equal stay apart: 'Cat' and 'cat'",
    ]


@pytest.mark.parametrize("label", ["²", "9" * 5000, "\u0665", "[cat]", "💡", "-1"])
def test_strange_label_is_a_class(label: str, folder: Path) -> None:
    assert set(listed(folder, f"path,label\na.png,{label}\nb.png,dog\n").class_names) == {label, "dog"}


@dataclass(frozen=True)
class Wrong:
    """A table with faults, and the problems without the name of its file, with FOLDER for its folder."""

    content: str | bytes
    problems: tuple[str, ...]
    columns: Columns | None = None


EMPTY = " is empty; its first line must name the columns, such as path,label"
NO_ROWS = " has no row below its header; add a row for each image"
WORKBOOK = " must be a text table, got an Excel workbook or a zip file; save it as CSV"
MISSING = "correct these paths, which are relative to FOLDER, the folder of the table"
WRONG = {
    "an empty file": Wrong("", (EMPTY,)),
    "nothing but spaces": Wrong(" \r\n\t\n,,\n", (EMPTY,)),
    "a header alone": Wrong("path,label\n", (NO_ROWS,)),
    "a workbook": Wrong(b"PK\x03\x04\x14\0\x06\0", (WORKBOOK,)),
    "an image": Wrong(b"\x89PNG\r\n\x1a\n", (" must be a text table, got a PNG image; save it as CSV",)),
    "a NUL byte": Wrong(
        PLAIN.replace("dog", "d\0g"), (" must be a text table, got a NUL byte in line 3; save it again as CSV",)
    ),
    "bytes that are no text": Wrong(
        b"path,label\na.png,\x81\x8d\xff\n",
        (
            " must be a text table, but it is not UTF-8 or cp1252 (character maps to <undefined> at byte 17); "
            "save it as CSV in UTF-8",
        ),
    ),
    "truncated UTF-16": Wrong(
        PLAIN.encode("utf-16")[:-1],
        (" must be a text table, but it is not UTF-16 (truncated data at byte 90); save it as CSV in UTF-8",),
    ),
    "no header": Wrong(
        "a.png,cat\nb.png,dog\n",
        (
            ": must have the columns 'path' and 'label', got 'a.png', 'cat'; "
            "name them with data.columns: {path: NAME, label: NAME}",
        ),
    ),
    "a column with a similar name": Wrong(
        "path,labels\na.png,cat\n",
        (
            ": must have the column 'label', got 'path', 'labels'; did you mean 'labels'?; "
            "name them with data.columns: {label: NAME}",
        ),
    ),
    "a group column that is not there": Wrong(
        PLAIN,
        (": must have the column 'plant', got 'path', 'label'; name them with data.columns: {group: NAME}",),
        Columns(group="plant"),
    ),
    "two columns of one name": Wrong(
        "path,label,label\na.png,cat,dog\n", (": 2 columns are called 'label'; rename all but one",)
    ),
    "a short row": Wrong(
        PLAIN + "d.png\n",
        (": every row must have 2 cells, like the header, got line 5 (1 cell); fill in or delete these rows",),
    ),
    "a path with a comma that is not quoted": Wrong(
        PLAIN + "d, e.png,cat\n",
        (
            ": no row may have more than 2 cells, the header's number, got line 5 (3 cells); "
            "put cells that contain the delimiter in double quotes; an image has one label",
        ),
    ),
    "a row without a path": Wrong(
        PLAIN + ",cat\n", (": every row must have a path, got line 5 (nothing); fill in or delete these rows",)
    ),
    "many missing files": Wrong(
        PLAIN + "".join(f"{number}.png,cat\n" for number in range(9)),
        (
            ": every image file must exist, got line 5 (0.png), line 6 (1.png), line 7 (2.png), line 8 (3.png), "
            f"line 9 (4.png) and 4 more; {MISSING}",
        ),
    ),
    "files without a suffix, or with another case": Wrong(
        "path,label\na,cat\nB.PNG,dog\n",
        (f": every image file must exist, got line 2 (a; 'a.png' is there), line 3 (B.PNG); {MISSING}",),
    ),
    "a folder": Wrong(
        PLAIN + "sub,cat\n", (": paths must be files, not folders, got line 5 (sub); name the image files themselves",)
    ),
    "absolute paths of Windows": Wrong(
        PLAIN + "C:\\photos\\a.png,cat\n\\\\server\\a.png,dog\n",
        (
            ": paths must be of this machine, not absolute paths of Windows, got line 5 (C:\\photos\\a.png), "
            "line 6 (\\\\server\\a.png); make these paths relative to FOLDER, the folder of the table",
        ),
    ),
    "an address": Wrong(
        PLAIN + "https://example.org/a.png,cat\n",
        (
            ": images must be files on this machine, got line 5 (https://example.org/a.png); "
            "download those with an address and name the files",
        ),
    ),
    "a path that is far too long": Wrong(
        PLAIN + "x" * 5000 + ",cat\n", (f": every image file must exist, got line 5 ({'x' * 80}...); {MISSING}",)
    ),
    "two labels of one image": Wrong(
        PLAIN + "a.png,dog\n",
        (
            ": an image may be listed only once, or with one label, got line 5 (like line 2: a.png, 'dog' and 'cat'); "
            "delete the wrong rows",
        ),
    ),
    "two splits of one image": Wrong(
        "path,label,split\na.png,cat,train\nb.png,dog,train\na.png,cat,test\n",
        (
            ": an image may be listed only once, or with one split, got line 4 (like line 2: a.png); "
            "delete the wrong rows",
        ),
    ),
    "several labels in a cell": Wrong(
        PLAIN + '"d, e.png","cat, dog"\n',
        (
            ": only one label per image is supported, got line 5 ('cat, dog'); "
            "give these images the label that matters most, or leave them out",
        ),
    ),
    "several labels in brackets": Wrong(
        PLAIN + "\"d, e.png\",\"['dog';'cat']\"\n",
        (
            ": only one label per image is supported, got line 5 ('['dog';'cat']'); "
            "give these images the label that matters most, or leave them out",
        ),
    ),
    "an unknown split": Wrong(
        "path,label,split\na.png,cat,holdout\nb.png,dog,eval\n",
        (
            ": split must be train, val, test, unlabeled or empty, got line 2 ('holdout'), line 3 ('eval'); "
            "correct these rows",
        ),
    ),
    "images of val and test without a label": Wrong(
        'path,label,split\na.png,cat,val\nb.png,,val\nsub/c.png,,test\n"d, e.png",dog,\n',
        (
            ": images of val and test must have a label, got line 3 (b.png), line 4 (sub/c.png); "
            "give them one, or leave their split empty so that they join unlabelled",
        ),
    ),
    "one class": Wrong(
        "path,label\na.png,cat\nb.png,\n",
        (" must have at least two classes, got only 'cat'; a classifier needs images of something else, too",),
    ),
    "no label": Wrong(
        "path,label\na.png,\n",
        (" must have at least two classes, got no label at all; a classifier needs images of something else, too",),
    ),
    "a double quote that is never closed": Wrong(
        'path,label,note\na.png,cat,\nb.png,dog,"big\nsub/c.png,cat,\n',
        (": line 3 opens a double quote that is never closed; remove it",),
    ),
    "a huge cell": Wrong(
        f'path,label\na.png,cat\n"{"x" * 200_000}",dog\n',
        (": line 3 cannot be read: field larger than field limit (131072); is a double quote not closed?",),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_table_is_one_message(case: str, folder: Path) -> None:
    wrong = WRONG[case]
    with pytest.raises(InputError) as error:
        listed(folder, wrong.content, wrong.columns)
    expected = tuple(f"{folder}/labels.csv{problem}".replace("FOLDER", str(folder)) for problem in wrong.problems)
    assert error.value.problems == expected


def test_every_kind_of_fault_is_told_at_once(folder: Path) -> None:
    lines = [
        "path,label,split",
        "a.png,cat,train",
        "b.png",
        "a.png,dog,train",
        "x.png,cat,",
        "sub/c.png,cat,hold",
        "b.png,,val",
    ]
    with pytest.raises(InputError) as error:
        listed(folder, "\n".join(lines))
    shown = [problem.split(", got ")[1].split(")")[0] for problem in error.value.problems]
    assert shown == [
        "line 3 (1 cell",
        "line 5 (x.png",
        "line 6 ('hold'",
        "line 7 (b.png",
        "line 4 (like line 2: a.png, 'dog' and 'cat'",
    ]


def test_table_that_cannot_be_opened_is_one_message(tmp_path: Path) -> None:
    for name, message in {
        "none.csv": "none.csv cannot be read: No such file or directory",
        "": "is not a file; csv: needs a table, and a folder is given without csv:",
        "nul\0.csv": "cannot be read: ",
        "x" * 300: "cannot be read: File name too long",
    }.items():
        with pytest.raises(InputError, match=message):
            list_csv(tmp_path / name, Columns())


def test_paths_of_a_table_are_read_whatever_their_labels(folder: Path) -> None:
    table = folder / "more.csv"
    table.write_text("img;split\na.png;test\nsub\\c.png;\n./a.png;train\n")
    assert read_paths(table, Columns(path="img")) == [folder / "a.png", folder / "sub/c.png"]
    table.write_text("path,label\na.png,only\nb.png,only\n")
    assert read_paths(table, Columns()) == [folder / "a.png", folder / "b.png"]
    for content, message in {
        "path\n": "has no row below",
        "path\nx.png\n": "must exist",
        "file\na.png\n": "must have",
    }.items():
        table.write_text(content)
        with pytest.raises(InputError, match=message):
            read_paths(table, Columns())


def damaged(chance: random.Random) -> bytes:
    """Return random bytes, or a table with random damage in a random encoding."""
    if chance.random() < 0.2:
        return chance.randbytes(chance.randrange(400))
    encoding = chance.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "utf-32"])
    content = bytearray(PLAIN.replace("cat", chance.choice(["cat", "Fähre", '"', "²"])).encode(encoding))
    for _ in range(chance.randrange(6)):
        place = chance.randrange(len(content))
        kind = chance.randrange(4)
        if kind == 0:
            content[place] = chance.choice(b'\0\xff"\r\n,;\t\\/.\x81')
        elif kind == 1:
            content[place:place] = chance.choice([b"\0", b'"', b"\n", b"..", b"\xed\xa0\x80", b"\xff\xfe", b"/" * 300])
        elif kind == 2:
            del content[place:][: chance.randrange(9)]
        else:
            content = content[: place + 1]
    return bytes(content)


@pytest.mark.parametrize("seed", range(20))
def test_no_bytes_make_a_traceback(seed: int, folder: Path) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        try:
            listing = listed(folder, damaged(chance))
        except InputError:
            continue
        assert len(listing.class_names) >= 2
        assert len(np.unique(listing.labels[listing.labels != UNLABELED])) == len(listing.class_names)
