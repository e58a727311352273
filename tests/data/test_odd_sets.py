"""Odd data sets are read as their owners mean them, or refused in one message; nothing is left out in silence.

The tables of `docs/own_images.md` list the same situations in words.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from odd_sets import (
    Make,
    a_table,
    an_archive,
    bad_class,
    beside,
    broken_links,
    bursts,
    circular_links,
    class_in_an_old_encoding,
    copies,
    deep_folders,
    fill,
    filled,
    grey,
    grouped_table,
    linked,
    long_path,
    odd_file_names,
    odd_formats,
    one_colour,
    one_pixel,
    painted,
    pets,
    read_only,
    save,
    straddling_bursts,
    strip,
    with_bad,
    with_files,
    with_folders,
    with_part,
    with_pipe,
    with_table,
    with_text,
)

from tdmr_ray.api import load_task
from tdmr_ray.cli import run_command
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.listing.listing import listing_of_files
from tdmr_ray.data.loading import load_task as load_configured_task
from tdmr_ray.data.reading import BadImage, InputFormat, read_image
from tdmr_ray.data.split_names import ANY
from tdmr_ray.data_summary import data
from tdmr_ray.errors import InputError

PAGE = Path(__file__).parents[2] / "docs" / "own_images.md"
SPLITS = filled("train/cat", "train/dog", "test/cat", "test/dog")
TRAIN_ONLY = filled("train/cat", "train/dog")
PETS_LABELS, TEST_GIVEN = (10, 4, 6), (14, 6, 20)
"""Labels of train, val and test of twenty pets, and of as many in both train and test."""


@dataclass(frozen=True)
class Situation:
    """A data set, and what its owner is to see.

    Attributes:
        make: Makes the set.
        said: Part of a warning or of the refusal; '' if nothing is said beyond the facts.
        labels: Labelled images of train, val and test; None if the set is refused.
        unlabeled: Images without labels.
        ignored: Images and files that are left out, by reason.
        options: Keys of the `data` section; `{set}` is the folder.
        classes: Names of the classes, in order.
        groups: Groups of several images.
        name: Name of the folder.
    """

    make: Make
    said: str = ""
    labels: tuple[int, int, int] | None = None
    unlabeled: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ("cat", "dog")
    groups: int = 0
    name: str = "set"


LAYOUTS = {
    "a folder for each class": Situation(pets, "", PETS_LABELS),
    "`Train/`, `VALID/` and `Testing/`": Situation(
        filled(*(f"{part}/{name}" for part in ("Train", "VALID", "Testing") for name in ("cat", "dog"))),
        "",
        (20, 20, 20),
    ),
    "`training/`, `DEV/` and `test/`": Situation(
        filled(*(f"{part}/{name}" for part in ("training", "DEV", "test") for name in ("cat", "dog"))),
        "",
        (20, 20, 20),
    ),
    "`val/` and `dev/` together": Situation(
        filled(*(f"{part}/{name}" for part in ("train", "val", "dev") for name in ("cat", "dog")), count=6),
        "",
        (8, 24, 4),
    ),
    "only `train/`": Situation(TRAIN_ONLY, "", PETS_LABELS),
    "`train/` and `test/`": Situation(SPLITS, "", TEST_GIVEN),
    "only `test/`": Situation(filled("test/cat", "test/dog"), "must have a folder train, got only 'test'"),
    "a class called `train` beside others": Situation(
        filled("cat", "dog", "train"), "got 'cat', 'dog' beside 'train'; set data.layout: classes"
    ),
    "a class called `train`, with `layout: classes`": Situation(
        filled("cat", "dog", "train"), "", (15, 6, 9), options={"layout": "classes"}, classes=("cat", "dog", "train")
    ),
    "splits, with `layout: classes`": Situation(
        SPLITS,
        "class 'test' takes the images of 2 folders inside it",
        (20, 8, 12),
        options={"layout": "classes"},
        classes=("test", "train"),
    ),
    "another folder beside splits": Situation(
        with_part("old", 3, SPLITS), "got 'old' beside 'test', 'train'; set data.layout: classes"
    ),
    "a folder without images beside splits": Situation(with_folders("docs", make=SPLITS), "", TEST_GIVEN),
    "`eval/` beside `train/`": Situation(
        filled("train/cat", "train/dog", "eval/cat", "eval/dog"), "got 'eval' beside 'train'"
    ),
    "a folder around the folder": Situation(
        filled("set/cat", "set/dog"), "got only 'set'; to use 'cat', 'dog' inside it, give {set}/set"
    ),
    "class folders inside class folders": Situation(
        filled("cat/tabby", "cat/manx", "dog"),
        "class 'cat' takes the images of 2 folders inside it: 'manx', 'tabby'; "
        "if those are the classes, give {set}/cat",
        (15, 6, 9),
    ),
    "images in `train/` and `test/` without class folders": Situation(
        filled("train", "test"),
        "got none; 20 images lie in it without a class: sort them into folders, or give csv:FILE",
    ),
    "no folder": Situation(lambda root: None, "there is no folder {set}"),
    "an empty folder": Situation(Path.mkdir, "{set} must have a folder for each class, got none"),
    "an archive": Situation(an_archive, "got the file {set}; unpack it", name="set.zip"),
    "a table without `csv:`": Situation(a_table, "give csv:{set}", name="set.csv"),
    "an image in place of a folder": Situation(lambda path: save(path), "got the file {set}", name="set.png"),
}
"""Where the classes and the splits are."""

UNLABELED = {
    "`unlabeled/` beside classes": Situation(with_part("unlabeled", 3), "", PETS_LABELS, 3),
    "`Unlabelled/` with folders inside": Situation(with_part("Unlabelled/a/b", 3), "", PETS_LABELS, 3),
    "`unlabeled/` beside splits": Situation(with_part("unlabeled", 3, SPLITS), "", TEST_GIVEN, 3),
    "`unlabeled/` in `train/`": Situation(with_part("train/unlabeled", 3, SPLITS), "", TEST_GIVEN, 3),
    "`unlabeled/` in `test/`": Situation(
        with_part("test/unlabeled", 3, SPLITS), "", TEST_GIVEN, ignored={"without a label in val or test": 3}
    ),
    "an empty `unlabeled/`": Situation(with_folders("unlabeled"), "'unlabeled' holds no images", PETS_LABELS),
    "`unlabeled/`, with `unlabeled: false`": Situation(
        with_part("unlabeled", 3),
        "",
        PETS_LABELS,
        ignored={"without a label, as data.unlabeled: false asks": 3},
        options={"unlabeled": False},
    ),
    "`unlabeled/`, with `unlabeled: true`": Situation(
        with_part("unlabeled", 3), "", PETS_LABELS, 3, options={"unlabeled": True}
    ),
    "every image has its label, with `unlabeled: true`": Situation(
        pets, "data.unlabeled: true adds nothing", PETS_LABELS, options={"unlabeled": True}
    ),
    "`unlabeled/` and `shots: 2`": Situation(
        with_part("unlabeled", 3),
        "",
        (4, 4, 6),
        3,
        {"with a label beyond data.shots": 6},
        {"shots": 2},
    ),
    "`unlabeled/` and `shots: 2`, with `unlabeled: true`": Situation(
        with_part("unlabeled", 3), "", (4, 4, 6), 9, options={"shots": 2, "unlabeled": True}
    ),
    "more `shots` than images": Situation(
        pets, "must be at most 5, the smallest class's training images, got 6", options={"shots": 6}
    ),
    "a `test/` without class folders": Situation(
        with_part("test", 3, TRAIN_ONLY),
        "'test' holds 3 images in no class of train, which are left out; "
        "to use them without labels: data.unlabeled: {set}/test",
        PETS_LABELS,
        ignored={"without a class": 3},
    ),
    "`test/unknown/` beside classes of train": Situation(
        with_part("test/unknown", 3, TRAIN_ONLY),
        "'test' holds 3 images in no class of train",
        PETS_LABELS,
        ignored={"without a class": 3},
    ),
    "a `test/` without class folders, with `unlabeled: FOLDER/test`": Situation(
        with_part("test", 3, TRAIN_ONLY), "", PETS_LABELS, 3, options={"unlabeled": "{set}/../set/test"}
    ),
    "images beside class folders": Situation(
        with_files("a.png", "b.png"),
        "2 images lie beside the class folders and are left out; to use them without labels: data.unlabeled: loose",
        PETS_LABELS,
        ignored={"without a class": 2},
    ),
    "images beside class folders, with `unlabeled: loose`": Situation(
        with_files("a.png", "b.png"), "", PETS_LABELS, 2, options={"unlabeled": "loose"}
    ),
    "images beside class folders in splits, with `unlabeled: loose`": Situation(
        with_files("a.png", "train/b.png", "test/c.png", make=SPLITS),
        "",
        TEST_GIVEN,
        2,
        {"without a label in val or test": 1},
        {"unlabeled": "loose"},
    ),
    "no image beside class folders, with `unlabeled: loose`": Situation(
        pets, "no images lie beside the class folders", options={"unlabeled": "loose"}
    ),
    "`unlabeled: FOLDER` elsewhere": Situation(
        beside("more", 3), "", PETS_LABELS, 3, options={"unlabeled": "{set}/../more"}
    ),
    "`unlabeled: FOLDER` inside the set": Situation(
        filled("cat", "dog", "misc"), "", PETS_LABELS, 10, options={"unlabeled": "{set}/misc"}
    ),
    "`unlabeled: csv:FILE`": Situation(
        with_table("more/0.png", "more/1.png", "set/cat/0.png"),
        "",
        PETS_LABELS,
        2,
        {"without a label, but listed in the data set already": 1},
        {"unlabeled": "csv:{set}/../more.csv"},
    ),
    "`unlabeled: csv:FILE` with nothing new": Situation(
        with_table("set/cat/0.png"),
        "must add images, got none in csv:{set}/../more.csv; its 1 images are part of the data set already",
        options={"unlabeled": "csv:{set}/../more.csv"},
    ),
    "`unlabeled: FOLDER` without images": Situation(
        with_folders("more"), "must add images, got none in {set}/more", options={"unlabeled": "{set}/more"}
    ),
    "`unlabeled: FOLDER` that is missing": Situation(
        pets, "an existing folder or csv:FILE, got '{set}/nowhere'", options={"unlabeled": "{set}/nowhere"}
    ),
    "`unlabeled:` with a byte that no path holds": Situation(
        pets, "an existing folder or csv:FILE, got 'a\0b'", options={"unlabeled": "a\0b"}
    ),
    "`unlabeled: FOLDER` that is the set itself": Situation(
        with_files("a.png"), "must be another folder than the data set", options={"unlabeled": "{set}"}
    ),
}
"""Images without labels."""

LEFT_OUT = {
    "hidden files and folders": Situation(
        with_files(".cache/a.png", ".b.png", "cat/.c.png", "cat/.ipynb_checkpoints/0.png"),
        "",
        PETS_LABELS,
        ignored={"hidden": 4},
    ),
    "`@eaDir/`, `__MACOSX/`": Situation(
        with_files("@eaDir/a.png", "cat/@eaDir/a.png", "__MACOSX/cat/b.png"),
        "",
        PETS_LABELS,
        ignored={"left by another program": 3},
    ),
    "`Thumbs.db`, `desktop.ini`, `.DS_Store`": Situation(
        with_text("Thumbs.db", "cat/thumbs.db", "desktop.ini", ".DS_Store", "cat/.DS_Store"),
        "",
        PETS_LABELS,
        ignored={"left by another program": 3, "hidden": 2},
    ),
    "a folder named like an image": Situation(
        with_files("cat/a.png/b.png"), "", PETS_LABELS, ignored={"folder with the name of an image": 1}
    ),
    "links to a folder and to a file": Situation(linked, "", (10, 4, 7)),
    "broken links": Situation(broken_links, "", PETS_LABELS, ignored={"broken link": 2}),
    "circular links": Situation(circular_links, "", PETS_LABELS, ignored={"circular link": 2}),
    "texts, tables and unknown files": Situation(
        with_text("README.md", "cat/notes.txt", "cat/data.bin", "cat/labels.csv"),
        "",
        PETS_LABELS,
        ignored={"not an image": 4},
    ),
    "named pipes": Situation(with_pipe, "", PETS_LABELS, ignored={"not an image": 2}),
    "folders more than 64 deep": Situation(deep_folders, "", PETS_LABELS, ignored={"folder too deep": 1}),
    "images without a suffix, or with an unknown one": Situation(
        with_files("cat/photo", "cat/photo.1"), "", (11, 4, 7)
    ),
    "images with the suffix of another format": Situation(with_files("cat/a.webp", "cat/b.HEIC"), "", (11, 4, 7)),
    "suffixes in capital letters": Situation(with_files("cat/A.PNG", "cat/B.JPG"), "", (11, 4, 7)),
    "file names in an old encoding, or with line breaks": Situation(odd_file_names, "", (11, 4, 8)),
    "names of 200 characters": Situation(long_path, "", PETS_LABELS, classes=("cat" * 66, "dog" * 66)),
    "a read-only folder": Situation(read_only, "", PETS_LABELS),
}
"""Files beside the images, and odd names."""

CLASSES = {
    "a class folder without images": Situation(
        with_folders("bird"), "1 of 3 classes have no image there: 'bird'; add images, or set data.drop_small_classes"
    ),
    "a class folder without images, with `drop_small_classes`": Situation(
        with_folders("bird"),
        "1 classes are too small and left out: 'bird' (0 images)",
        PETS_LABELS,
        options={"drop_small_classes": True},
    ),
    "a class in train only": Situation(
        with_part("train/bird", 10, SPLITS), "{set}/test: 1 of 3 classes have no image there: 'bird'"
    ),
    "a class in test only": Situation(
        with_part("test/bird", 10, SPLITS), "{set}/train: 1 of 3 classes have no image there: 'bird'"
    ),
    "a class in train only, with `drop_small_classes`": Situation(
        with_part("train/bird", 10, SPLITS),
        "left out: 'bird' (none in test)",
        TEST_GIVEN,
        ignored={"of a class that is too small": 10},
        options={"drop_small_classes": True},
    ),
    "a class of fewer than five images": Situation(
        with_part("bird", 2),
        "at least 5 labelled images, so that train, val and test all show it, got 'bird' (2 images)",
    ),
    "a class of fewer than five images, with `drop_small_classes`": Situation(
        with_part("bird", 2),
        "1 classes are too small and left out: 'bird' (2 images)",
        PETS_LABELS,
        ignored={"of a class that is too small": 2},
        options={"drop_small_classes": True},
    ),
    "one class left by `drop_small_classes`": Situation(
        with_part("bird", 2, filled("cat")),
        "data.drop_small_classes must leave at least two classes, but too small are 'bird' (2 images)",
        options={"drop_small_classes": True},
    ),
    "one class": Situation(filled("cat"), "must have at least two classes, got only 'cat'"),
    "names with spaces, accents, emoji, `<b>` and brackets": Situation(
        filled("a cat", "Bär", "🐈", "<b>x<b>", "[red]", "a,b"),
        "",
        (30, 12, 18),
        classes=("<b>x<b>", "Bär", "[red]", "a cat", "a,b", "🐈"),
    ),
    "names that are numbers": Situation(filled("10", "2", "1"), "", (15, 6, 9), classes=("1", "2", "10")),
    "names that differ in case": Situation(
        filled("Cat", "cat"),
        "classes that are almost equal stay apart: 'Cat' and 'cat'",
        PETS_LABELS,
        classes=("Cat", "cat"),
    ),
    "names in an old encoding": Situation(class_in_an_old_encoding, "names of classes must be text in UTF-8"),
}
"""Classes."""

GROUPS = {
    "`group_by` with a parenthesis": Situation(
        bursts, "", (24, 8, 8), options={"group_by": r"/([a-z]+\d)_"}, groups=10
    ),
    "`group_by` without one": Situation(bursts, "", (24, 8, 8), options={"group_by": r"[a-z]+\d_"}, groups=10),
    "`group_by` and `shots: 3`": Situation(
        bursts,
        "",
        (6, 8, 8),
        ignored={"with a label beyond data.shots": 18},
        options={"group_by": r"[a-z]+\d_", "shots": 3},
        groups=10,
    ),
    "`group_by` that matches nothing": Situation(
        bursts, "data.group_by must match paths such as cat/cat0_0.png", options={"group_by": "patient"}
    ),
    "`group_by` that matches some images": Situation(
        bursts,
        "data.group_by does not match 20 images, each of which is a group of its own: dog/dog0_0.png",
        (22, 8, 10),
        options={"group_by": r"cat\d"},
        groups=5,
    ),
    "`group_by` that is no regular expression": Situation(
        bursts, "must be a regular expression, got '('", options={"group_by": "("}
    ),
    "`group_by` that makes a class one group": Situation(
        bursts, "got 'cat' (20 images in only 1 groups)", options={"group_by": "cat|dog"}
    ),
    "`group_by` beside a column of groups": Situation(
        grouped_table,
        "data.group_by must not be set for a data set with a column 'group'",
        options={"group_by": r"\d"},
        name="csv",
    ),
    "groups that straddle given splits": Situation(
        straddling_bursts,
        "12 groups have images in several of the splits that the data set gives",
        (16, 8, 12),
        options={"group_by": r"[a-z]+\d_"},
        groups=12,
    ),
    "an unlabelled image of a group in val or test": Situation(
        with_files(*(f"unlabeled/{name}{burst}_9.png" for name in ("cat", "dog") for burst in range(5)), make=bursts),
        "",
        (24, 8, 8),
        6,
        {"without a label, of a group in val or test": 4},
        {"group_by": r"[a-z]+\d_"},
        groups=10,
    ),
    "nearly identical images": Situation(
        copies, "have a nearly identical one in another split, which inflates their accuracy", (12, 4, 8)
    ),
    "nearly identical images, with `near_duplicates: group`": Situation(
        copies, "", (12, 4, 8), options={"near_duplicates": "group"}, groups=12
    ),
    "all images are identical": Situation(painted(one_colour), "10 of 10 images of val and test", PETS_LABELS),
    "all images are identical, with `near_duplicates: group`": Situation(
        painted(one_colour), "got 'cat' (10 images in only 1 groups)", options={"near_duplicates": "group"}
    ),
}
"""Groups and near-duplicates."""

FILES = {
    "empty, cut-off and text files": Situation(
        with_bad("truncated.jpg", "empty.jpg", "text.png"), "3 images cannot be read"
    ),
    "empty, cut-off and text files, with `on_bad_image: skip`": Situation(
        with_bad("truncated.jpg", "empty.jpg", "text.png"),
        "3 images cannot be read and are left out: cat/empty.jpg",
        PETS_LABELS,
        ignored={"unreadable": 3},
        options={"on_bad_image": "skip"},
    ),
    "a class of unreadable images, with `on_bad_image: skip`": Situation(
        bad_class, "got 'bird' (0 images); add images", options={"on_bad_image": "skip"}
    ),
    "a class of unreadable images, with `drop_small_classes` too": Situation(
        bad_class,
        "got 'bird' (0 images); replace their unreadable images, or remove these classes",
        options={"on_bad_image": "skip", "drop_small_classes": True},
    ),
    "every format and mode in one class": Situation(odd_formats, "have a nearly identical one", (20, 8, 12)),
    "all images are grey": Situation(painted(grey), "", PETS_LABELS),
    "images of 1 x 1 px": Situation(painted(one_pixel), "10 of 10 images of val and test", PETS_LABELS),
    "images of 1 x 2000 px": Situation(painted(strip), "have a nearly identical one", PETS_LABELS),
}
"""Image files."""

HEADINGS = {
    "Layouts": LAYOUTS,
    "Images without labels": UNLABELED,
    "Files and names": LEFT_OUT,
    "Classes": CLASSES,
    "Groups and near-duplicates": GROUPS,
    "Image files": FILES,
}
"""Situations by the headings of the tables in `docs/own_images.md`."""
SITUATIONS = LAYOUTS | UNLABELED | LEFT_OUT | CLASSES | GROUPS | FILES


@pytest.mark.parametrize("name", SITUATIONS)
def test_odd_data_set_is_read_or_refused_in_words(name: str, tmp_path: Path) -> None:
    situation = SITUATIONS[name]
    root = tmp_path / situation.name
    situation.make(root)
    source = f"csv:{root}/table.csv" if situation.name == "csv" else str(root)
    said = situation.said.replace("{set}", str(root))
    options = {
        key: value.replace("{set}", str(root)) if isinstance(value, str) else value
        for key, value in situation.options.items()
    }
    if situation.labels is None:
        with pytest.raises(InputError, match=re.escape(said)) as error:
            load_task(source, image_px=16, **options)
        assert error.value.problems
        return
    summary = load_task(source, image_px=16, **options).summary
    assert summary is not None
    assert any(said in each for each in summary.warnings) if said else summary.warnings == ()
    assert tuple(summary.count(split) for split in ("train", "val", "test")) == situation.labels
    assert tuple(summary.classes) == situation.classes
    assert (summary.unlabeled, summary.ignored, summary.groups) == (
        situation.unlabeled,
        situation.ignored,
        situation.groups,
    )


def test_files_that_vanish_after_the_listing_are_unreadable(tmp_path: Path) -> None:
    config = DataConfig(name=str(tmp_path / "set"), image_px=16)
    load_dataset(DataConfig(name=str(pets_in(tmp_path))))
    (tmp_path / "set" / "cat" / "3.png").unlink()
    with pytest.raises(InputError, match=r"cat/3.png: .*No such file"):
        load_configured_task(config)
    summary = load_configured_task(config.model_copy(update={"on_bad_image": "skip"})).summary
    assert summary is not None
    assert summary.ignored == {"unreadable": 1}


def test_files_that_vanish_during_the_listing_are_unreadable(tmp_path: Path) -> None:
    gone = pets_in(tmp_path) / "cat" / "gone.png"
    rows = [(gone, 0, ANY), (tmp_path / "set" / "dog" / "0.png", 1, ANY)]
    listing = listing_of_files(rows, ["cat", "dog"], tmp_path)
    assert listing.names == ["set/cat/gone.png", "set/dog/0.png"]
    with pytest.raises(BadImage, match="No such file"):
        read_image(listing.open(0), InputFormat(8))


def test_folder_that_nobody_may_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = fill(tmp_path / "set", "cat", "dog", "dog/secret")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    summary = load_task(root, image_px=16).summary
    assert summary is not None
    assert (summary.count("train"), summary.ignored) == (10, {"unreadable folder": 1})


COMMANDS = {
    "a good set": (with_part("unlabeled", 3), [], 0),
    "bad images": (with_bad("truncated.jpg", "empty.jpg", "text.png"), [], 0),
    "bad images that are to fail": (with_bad("text.png"), ["--set", "on_bad_image=fail"], 2),
    "odd names": (odd_file_names, [], 0),
    "val and test joined": (filled("cat", "dog"), ["--set", "join=all"], 0),
    "a fold": (filled("cat", "dog"), ["--set", "folds=2", "--set", "fold=1"], 0),
    "a fold too many": (filled("cat", "dog"), ["--set", "folds=2", "--set", "fold=2"], 2),
    "more folds than images": (filled("cat", "dog"), ["--set", "folds=5000"], 2),
    "classes in an old encoding": (class_in_an_old_encoding, [], 2),
    "no folder": (lambda root: None, [], 2),
    "one class": (filled("cat"), [], 2),
}
"""Data set, options of `tdmr data`, and its exit code."""


@pytest.mark.parametrize("name", COMMANDS)
def test_data_command_summarizes_or_refuses_without_a_traceback(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, options, code = COMMANDS[name]
    make(tmp_path / "set")
    sheets = tmp_path / "sheets"
    command = ["data_summary", str(tmp_path / "set"), "--set", "image_px=16", "--json", "--sheets", str(sheets)]
    monkeypatch.setattr(sys, "argv", [*command, *options])
    with pytest.raises(SystemExit) as ended:
        run_command(data)
    shown = capsys.readouterr()
    assert (ended.value.code or 0) == code
    if code:
        assert "problem" in shown.err
    else:
        facts = json.loads(shown.out)
        assert {"classes", "unlabeled", "ignored", "near_duplicates", "groups", "warnings"} <= set(facts)
        assert facts["classes"]["cat"]["train"] >= 5
        assert {path.suffix for path in sheets.iterdir()} == {".png"}
        assert len(list(sheets.iterdir())) == 2 + (facts["unlabeled"] > 0)


def test_data_command_refuses_in_a_process_of_its_own(tmp_path: Path) -> None:
    with_bad("text.png")(tmp_path / "set")
    command = [sys.executable, "-m", "tdmr_ray.data_summary", str(tmp_path / "set"), "--set", "on_bad_image=fail"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "1 images cannot be read" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("digits", {"unlabeled": "/"}, "must be true or false for the built-in 'digits', got /"),
        ("digits", {"unlabeled": "loose"}, "loose must have a folder of images in data.name, got 'digits'"),
        ("csv:more.csv", {"unlabeled": "loose"}, "loose must have a folder of images in data.name, got 'csv:"),
        ("digits", {"group_by": "a"}, "data.group_by must not be set for the built-in 'digits'"),
    ],
)
def test_key_without_an_effect_is_refused(source: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load_task(source, **options)


def pets_in(folder: Path) -> Path:
    return pets(folder / "set")


def test_page_lists_every_situation() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for heading, situations in HEADINGS.items():
        section = text.split(f"### {heading}\n")[1].split("\n#")[0]
        rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")]
        assert rows[1:] == list(situations)
