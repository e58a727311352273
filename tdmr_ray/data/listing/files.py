"""Images in files: a folder for each class."""

from pathlib import Path

from tdmr_ray.data.listing.listing import Listing, listing_of_files, natural_order, some_of
from tdmr_ray.data.reading import SUFFIXES
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
    return listing_of_files(rows, names, root)


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
