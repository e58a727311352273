"""The user's own images before any is decoded: where they lie, their classes, their parts.

FOLDER             train/ val/ test/, each with a folder for each class; or the classes' folders at once
csv:FILE           a line for each image: path,label[,split]; paths are seen from the file's folder
torch/NAME         torchvision's sets that timm knows, such as torch/cifar100
hfds/OWNER/NAME    Hugging Face datasets with columns image and label; hfds/FOLDER is one that lies here
wds/SHARDS         webdataset's tar files, such as wds/photos-{000..009}.tar, with .cls or .txt beside each image
"""

import csv
import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.reading import SUFFIXES, read_square
from tdmr_ray.errors import InputError

ANY, TRAIN, VAL, TEST = -1, 0, 1, 2
"""The part of the data that an image belongs to; `ANY` where the set does not say."""
PART_NAMES = {"train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
SHOWN = 5
"""Of a list of problems in a message."""

Read = Callable[[int, int], NDArray[np.uint8]]
"""From the number of an image and a size in pixels to uint8 [3, size, size]; raises `BadImage`."""


@dataclass(frozen=True)
class Listing:
    """What is known of images that are not decoded yet.

    Attributes:
        names: What a message calls each.
        labels: int64, [N].
        class_names: C names.
        parts: int8, [N], of `ANY`, `TRAIN`, `VAL`, `TEST`.
        read: Decodes one.
        key: Changes when files come, go or change.
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    parts: NDArray[np.int8]
    read: Read
    key: str


def is_listed(name: str) -> bool:
    """Whether a data set's name means images of the user's own, or a public collection."""
    return name.startswith(("csv:", "torch/", "hfds/", "wds/", "/", ".", "~")) or Path(name).expanduser().is_dir()


def list_images(name: str, root: str | None = None) -> Listing:
    """List a data set by name; see above.

    Args:
        name: Of the set.
        root: Where torchvision and Hugging Face keep theirs; None is their own place.

    Raises:
        InputError: With all that is wrong with it.
    """
    prefix, _, rest = name.partition(":" if name.startswith("csv:") else "/")
    if prefix == "csv":
        return list_csv(Path(rest).expanduser())
    place = root or str(Path("~/.cache/tdmr_ray/data").expanduser())
    if prefix == "torch":
        return list_by_timm(name, place)
    if prefix == "hfds":
        return list_hub(rest, place)
    if prefix == "wds":
        return list_shards(rest)
    return list_folder(Path(name).expanduser())


def list_folder(root: Path) -> Listing:
    """A folder for each class, perhaps below train/ val/ test/.

    Raises:
        InputError: If there is no such folder, no class, or a class without images.
    """
    if not root.is_dir():
        raise InputError("data", f"data.name: there is no folder {root}; give one with a folder for each class")
    tops = {path: PART_NAMES[path.name] for path in _folders(root) if path.name in PART_NAMES} or {root: ANY}
    found = {top: {folder.name: _images(folder) for folder in _folders(top)} for top in tops}
    names = sorted({name for classes in found.values() for name in classes}, key=_natural)
    problems = _check_folders(root, found, names)
    if problems:
        raise InputError("data", problems)
    rows = [
        (path, names.index(name), tops[top])
        for top, classes in found.items()
        for name in sorted(classes, key=_natural)
        for path in classes[name]
    ]
    return _listing_of_files(rows, names, root)


def list_csv(path: Path) -> Listing:
    """A table with the columns path, label and, if it likes, split.

    Raises:
        InputError: If columns or files are missing, or a split has a name that nobody knows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = list(csv.DictReader(file))
    except OSError as error:
        raise InputError("data", f"data.name: {path} cannot be read: {error.strerror}") from error
    columns = set(table[0]) if table else set()
    if not {"path", "label"} <= columns:
        got = ", ".join(sorted(columns)) or "nothing"
        raise InputError("data", f"{path}: its first line must name the columns path,label[,split], got {got}")
    names = sorted({row["label"] for row in table}, key=_natural)
    paths = [path.parent / row["path"] for row in table]
    missing = [str(each) for each in paths if not each.is_file()]
    splits = [(row.get("split") or "").strip().lower() for row in table]
    unknown = sorted({split for split in splits if split and split not in PART_NAMES})
    problems = [f"{path}: {len(missing)} files do not exist: {_some(missing)}"] if missing else []
    problems += [f"{path}: split must be one of {', '.join(PART_NAMES)}, got {_some(unknown)}"] if unknown else []
    if problems:
        raise InputError("data", problems)
    rows = [
        (each, names.index(row["label"]), PART_NAMES.get(split, ANY))
        for each, row, split in zip(paths, table, splits, strict=True)
    ]
    return _listing_of_files(rows, names, path.parent)


def list_by_timm(name: str, place: str) -> Listing:
    """A collection of torchvision that timm reads, kept in the folder `place`.

    Raises:
        InputError: If it is unknown or cannot be had.
    """
    from timm.data.dataset_factory import create_dataset

    sets: dict[int, Any] = {}
    reasons = []
    for part, split in {TRAIN: "train", TEST: "test"}.items():
        try:
            sets[part] = create_dataset(name, root=place, split=split, download=True)
        except (OSError, RuntimeError, ValueError, AssertionError, ImportError, KeyError) as error:
            reasons.append(f"{split}: {_first_line(error)}")
    if TRAIN not in sets:
        raise InputError("data", f"data.name: '{name}' cannot be had in {place}; {_some(reasons)}")
    parts = np.concatenate([np.full(len(each), part, np.int8) for part, each in sets.items()])
    labels = np.concatenate([np.asarray(each.targets, np.int64) for each in sets.values()])
    starts = np.cumsum([0, *(len(each) for each in sets.values())])
    ordered = list(sets.values())

    def read(row: int, size_px: int) -> NDArray[np.uint8]:
        number = int(np.searchsorted(starts, row, side="right")) - 1
        image = ordered[number][row - int(starts[number])][0]
        return np.asarray(image.convert("RGB").resize((size_px, size_px), 2)).transpose(2, 0, 1)

    key = hashlib.sha256(f"{name} {place} {starts.tolist()}".encode() + labels.tobytes()).hexdigest()
    names = [f"{name} {row}" for row in range(len(labels))]
    return Listing(names, labels, tuple(sets[TRAIN].classes), parts, read, key)


def list_hub(name: str, place: str) -> Listing:
    """A data set that Hugging Face's `datasets` reads, prepared in the folder `place`; its splits are the parts.

    Images whose label is -1 or missing, as the hub has them in tests that are secret, are left out.

    Raises:
        InputError: If it cannot be had, or has no split `train`, or no columns image and label.
    """
    splits = _load_hub(name, place)
    given = [(split, row, label) for split, table in splits.items() for row, label in enumerate(table["label"])]
    rows = [each for each in given if each[2] not in (None, -1)]
    classes = getattr(next(iter(splits.values())).features["label"], "names", None)
    names = list(classes or sorted({str(label) for *_, label in rows}, key=_natural))
    by_name = {text: number for number, text in enumerate(names)}
    labels = np.array([label if classes else by_name[str(label)] for *_, label in rows], np.int64)
    parts = np.array([PART_NAMES[split] for split, *_ in rows], np.int8)

    def read(row: int, size_px: int) -> NDArray[np.uint8]:
        split, number, _ = rows[row]
        image = splits[split][number]["image"] or {}
        content = image.get("bytes")
        return read_square(io.BytesIO(content) if content else Path(image.get("path") or ""), size_px)

    shown = [f"hfds/{name} {split} {row}" for split, row, _ in rows]
    return Listing(shown, labels, tuple(names), parts, read, _hub_key(name, splits, labels, parts))


def _load_hub(name: str, place: str) -> dict[str, Any]:
    """Tables by split, of the splits that are parts; their images are not decoded.

    Raises:
        InputError: As `list_hub`.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            "data", f"data.name: 'hfds/{name}' needs Hugging Face's package: pip install datasets"
        ) from error
    try:
        found = datasets.load_dataset(name, cache_dir=place)
    except (OSError, RuntimeError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InputError("data", f"data.name: 'hfds/{name}' cannot be had: {_first_line(error)}") from error
    splits = {str(split): table for split, table in found.items() if split in PART_NAMES}
    if TRAIN not in {PART_NAMES[split] for split in splits}:
        raise InputError("data", f"data.name: 'hfds/{name}' must have a split 'train', got {_some(list(found))}")
    columns = next(iter(splits.values())).column_names
    if not {"image", "label"} <= set(columns):
        got = ", ".join(sorted(columns))
        raise InputError("data", f"data.name: 'hfds/{name}' must have the columns image and label, got {got}")
    return {split: table.cast_column("image", datasets.Image(decode=False)) for split, table in splits.items()}


def _hub_key(name: str, splits: dict[str, Any], labels: NDArray[np.int64], parts: NDArray[np.int8]) -> str:
    """The names of prepared files hold the revision, or a hash of where local files lie and when they changed."""
    files = [Path(file["filename"]) for table in splits.values() for file in table.cache_files]
    prepared = "|".join("/".join(file.parts[-5:]) for file in files)
    return hashlib.sha256(f"{name}|{prepared}".encode() + labels.tobytes() + parts.tobytes()).hexdigest()


def list_shards(pattern: str) -> Listing:
    """Tar files with an image and a label of the same name: NAME.jpg and NAME.cls (a number) or NAME.txt (a name).

    Parts are told by train, val or test in the name of a tar file. Images are read from where they lie in it.

    Raises:
        InputError: If there is no such file, or an image has no label.
    """
    paths = [Path(text).expanduser() for text in _expanded(pattern)]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        raise InputError("data", f"data.name: {len(missing)} shards do not exist: {_some(missing) or pattern}")
    samples = [sample for path in paths for sample in _samples(path)]
    without = [f"{path}:{name}" for path, name, _, _, label in samples if label is None]
    if without:
        raise InputError("data", f"{len(without)} images have neither .cls nor .txt beside them: {_some(without)}")
    found = {str(label) for *_, label in samples}
    names = sorted(found, key=_natural)
    by_name = {name: number for number, name in enumerate(names)}

    def read(row: int, size_px: int) -> NDArray[np.uint8]:
        path, _, start, count, _ = samples[row]
        with path.open("rb") as file:
            file.seek(start)
            return read_square(io.BytesIO(file.read(count)), size_px)

    labels = np.array([by_name[str(label)] for *_, label in samples], np.int64)
    parts = np.array([_part_in(path.name) for path, *_ in samples], np.int8)
    key = _stat_key([*paths], labels, parts)
    return Listing([f"{path}:{name}" for path, name, *_ in samples], labels, tuple(names), parts, read, key)


def _samples(path: Path) -> list[tuple[Path, str, int, int, str | None]]:
    """Of a shard: its path, an image's name, where its bytes begin, how many there are, and its label."""
    labels: dict[str, str] = {}
    images = []
    with tarfile.open(path, "r:") as shard:
        for member in shard:
            stem, _, suffix = member.name.rpartition(".")
            if suffix in ("cls", "txt"):
                content = shard.extractfile(member)
                labels[stem] = content.read().decode().strip() if content else ""
            elif f".{suffix.lower()}" in SUFFIXES:
                images.append((stem, member))
    return [(path, m.name, m.offset_data, m.size, labels.get(stem)) for stem, m in images]


def _listing_of_files(rows: Sequence[tuple[Path, int, int]], names: Sequence[str], root: Path) -> Listing:
    paths = [path for path, _, _ in rows]
    labels = np.array([label for _, label, _ in rows], np.int64)
    parts = np.array([part for _, _, part in rows], np.int8)

    def read(row: int, size_px: int) -> NDArray[np.uint8]:
        return read_square(paths[row], size_px)

    shown = [str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in paths]
    return Listing(shown, labels, tuple(names), parts, read, _stat_key(paths, labels, parts))


def _check_folders(root: Path, found: dict[Path, dict[str, list[Path]]], names: list[str]) -> list[str]:
    loose = [path.name for top in found for path in _images(top, deep=False)]
    if not names:
        hint = f"; {len(loose)} images lie in it without a class" if loose else ""
        return [f"data.name: {root} must have a folder for each class, got none{hint}"]
    problems = []
    if len(names) == 1:
        problems.append(f"data.name: {root} must have at least two classes, got only '{names[0]}'")
    for top, classes in found.items():
        empty = [name for name in names if not classes.get(name)]
        if empty:
            problems.append(f"{top}: {len(empty)} of {len(names)} classes have no image there: {_some(empty)}")
    return problems


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path, *, deep: bool = True) -> list[Path]:
    paths = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def _stat_key(paths: Iterable[Path], labels: NDArray[np.int64], parts: NDArray[np.int8]) -> str:
    """A hash of where files lie, how long they are and when they changed, and what they are."""
    digest = hashlib.sha256(labels.tobytes() + parts.tobytes())
    for path in paths:
        status = path.stat()
        digest.update(f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _part_in(name: str) -> int:
    words = re.split(r"[^a-z]+", name.lower())
    return next((PART_NAMES[word] for word in words if word in PART_NAMES), ANY)


def _expanded(pattern: str) -> list[str]:
    """`a-{00..02}.tar` as three names; `*` as the files that are there."""
    braces = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if braces:
        first, last = braces.groups()
        numbers = range(int(first), int(last) + 1)
        return [pattern.replace(braces[0], str(number).zfill(len(first))) for number in numbers]
    if "*" in pattern:
        path = Path(pattern).expanduser()
        return sorted(str(each) for each in path.parent.glob(path.name))
    return [pattern]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts class 2 before class 10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more
