"""Images in files: a folder for each class, or a CSV table."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tdmr_ray.data.listing.listing import Listing, natural_order, some_of, stat_key
from tdmr_ray.data.reading import SUFFIXES, ImageSource
from tdmr_ray.data.split_names import ANY, SPLIT_NAMES
from tdmr_ray.errors import InputError


def list_folder(root: Path) -> Listing:
    """List a folder for each class, directly or below train/ val/ test/.

    Raises:
        InputError: If there is no such folder, no class, or a class without images.
    """
    if not root.is_dir():
        raise InputError("data", f"there is no folder {root}; give one with a folder for each class")
    tops = {path: SPLIT_NAMES[path.name] for path in _folders(root) if path.name in SPLIT_NAMES} or {root: ANY}
    found = {top: {folder.name: _images(folder) for folder in _folders(top)} for top in tops}
    names = sorted({name for classes in found.values() for name in classes}, key=natural_order)
    problems = _check_folders(root, found, names)
    if problems:
        raise InputError("data", problems)
    rows = [
        (path, names.index(name), tops[top])
        for top, classes in found.items()
        for name in sorted(classes, key=natural_order)
        for path in classes[name]
    ]
    return _listing_of_files(rows, names, root)


def list_csv(path: Path) -> Listing:
    """List a table with the columns path, label and, optionally, split.

    Raises:
        InputError: If columns or files are missing, or the name of a split is unknown.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = list(csv.DictReader(file))
    except OSError as error:
        raise InputError("data", f"{path} cannot be read: {error.strerror}") from error
    columns = set(table[0]) if table else set()
    if not {"path", "label"} <= columns:
        got = ", ".join(sorted(columns)) or "nothing"
        raise InputError("data", f"{path}: its first line must name the columns path,label[,split], got {got}")
    names = sorted({row["label"] for row in table}, key=natural_order)
    paths = [path.parent / row["path"] for row in table]
    missing = [str(each) for each in paths if not each.is_file()]
    splits = [(row.get("split") or "").strip().lower() for row in table]
    unknown = sorted({split for split in splits if split and split not in SPLIT_NAMES})
    problems = [f"{path}: {len(missing)} files do not exist: {some_of(missing)}"] if missing else []
    problems += [f"{path}: split must be one of {', '.join(SPLIT_NAMES)}, got {some_of(unknown)}"] if unknown else []
    if problems:
        raise InputError("data", problems)
    rows = [
        (each, names.index(row["label"]), SPLIT_NAMES.get(split, ANY))
        for each, row, split in zip(paths, table, splits, strict=True)
    ]
    return _listing_of_files(rows, names, path.parent)


def _listing_of_files(rows: Sequence[tuple[Path, int, int]], names: Sequence[str], root: Path) -> Listing:
    paths = [path for path, _, _ in rows]
    labels = np.array([label for _, label, _ in rows], np.int64)
    splits = np.array([split for _, _, split in rows], np.int8)

    def open_image(row: int) -> ImageSource:
        return paths[row]

    shown = [str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in paths]
    return Listing(shown, labels, tuple(names), splits, open_image, stat_key(paths, labels, splits))


def _check_folders(root: Path, found: dict[Path, dict[str, list[Path]]], names: list[str]) -> list[str]:
    loose = [path.name for top in found for path in _images(top, deep=False)]
    if not names:
        hint = f"; {len(loose)} images lie in it without a class" if loose else ""
        return [f"{root} must have a folder for each class, got none{hint}"]
    problems = []
    if len(names) == 1:
        problems.append(f"{root} must have at least two classes, got only '{names[0]}'")
    for top, classes in found.items():
        empty = [name for name in names if not classes.get(name)]
        if empty:
            problems.append(f"{top}: {len(empty)} of {len(names)} classes have no image there: {some_of(empty)}")
    return problems


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path, *, deep: bool = True) -> list[Path]:
    paths = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
