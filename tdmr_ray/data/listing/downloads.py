"""Public collections that are downloaded: torchvision's, through timm, and those of the Hugging Face hub."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdmr_ray.data.config import Columns
from tdmr_ray.data.listing.columns import find_columns
from tdmr_ray.data.listing.listing import Listing, natural_order, some_of
from tdmr_ray.data.reading import ImageSource
from tdmr_ray.data.split_names import TEST, TRAIN, UNLABELED, is_unlabeled_name, split_named
from tdmr_ray.errors import InputError

NO_LABEL = "images of val or test without a label"
"""Reason in `Listing.ignored`."""


@dataclass(frozen=True)
class HubSet:
    """A loaded data set and its columns.

    Attributes:
        tables: Table of each part that is used.
        image: Column of the images.
        label: Column of the labels.
        split: Column of the splits that counts more than the parts, or None.
        group: Column of the groups, or None.
        class_names: Class names if labels are numbers; empty if labels are names.
        warnings: Sentences for the user.
    """

    tables: dict[str, Any]
    image: str
    label: str
    split: str | None
    group: str | None
    class_names: tuple[str, ...]
    warnings: Sequence[str]


@dataclass(frozen=True)
class HubImage:
    """Place, label (None without one), split and group of an image."""

    table: str
    row: int
    label: int | str | float | bool | None
    split: int
    group: str


def list_by_timm(name: str, folder: str) -> Listing:
    """List a torchvision collection through timm; it is kept in `folder`.

    Raises:
        InputError: If it is unknown or unavailable.
    """
    from timm.data.dataset_factory import create_dataset

    sets: dict[int, Any] = {}
    reasons = []
    for number, split in {TRAIN: "train", TEST: "test"}.items():
        try:
            sets[number] = create_dataset(name, root=folder, split=split, download=True)
        except (OSError, RuntimeError, ValueError, AssertionError, ImportError, KeyError) as error:
            reasons.append(f"{split}: {_first_line(error)}")
    if TRAIN not in sets:
        raise InputError("data", f"'{name}' is unavailable in {folder}; {some_of(reasons)}")
    splits = np.concatenate([np.full(len(each), number, np.int8) for number, each in sets.items()])
    labels = np.concatenate([np.asarray(each.targets, np.int64) for each in sets.values()])
    starts = np.cumsum([0, *(len(each) for each in sets.values())])
    ordered = list(sets.values())

    def open_image(row: int) -> ImageSource:
        number = int(np.searchsorted(starts, row, side="right")) - 1
        image: Image.Image = ordered[number][row - int(starts[number])][0]
        return image

    key = hashlib.sha256(f"{name} {folder} {starts.tolist()}".encode() + labels.tobytes()).hexdigest()
    names = [f"{name} {row}" for row in range(len(labels))]
    return Listing(names, labels, tuple(sets[TRAIN].classes), splits, open_image, key)


def list_hub(name: str, folder: str, columns: Columns) -> Listing:
    """List a data set through Hugging Face's `datasets`; it is prepared in `folder`.

    A label that is -1, empty or missing means an unlabelled image, which joins the training split. In val and test, as
    in hidden test sets on the hub, such images are left out. A split `unlabeled` or `unsupervised` joins unlabelled.

    Raises:
        InputError: If it is unavailable, or lacks the split `train`, a column, or a second class.
    """
    loaded = _load_hub(name, folder, columns)
    images = _hub_images(name, loaded)
    hidden = [image for image in images if image.label is None and image.split != TRAIN]
    kept = [image for image in images if image.label is not None or image.split == TRAIN]
    given = {image.label for image in kept if image.label is not None}
    if len(given) < 2:
        raise InputError("data", f"'hfds/{name}' must have labels of at least two classes, got {len(given)}")
    names = list(loaded.class_names or sorted({str(label) for label in given}, key=natural_order))
    by_name: dict[Any, int] = {text: number for number, text in enumerate(names)}
    numbers = {label: int(label) if loaded.class_names else by_name[str(label)] for label in given}
    labels = np.array([UNLABELED if each.label is None else numbers[each.label] for each in kept], np.int64)
    splits = np.array([image.split for image in kept], np.int8)

    def open_image(row: int) -> ImageSource:
        image = loaded.tables[kept[row].table][kept[row].row][loaded.image] or {}
        content = image.get("bytes")
        return io.BytesIO(content) if content else Path(image.get("path") or "")

    def shown(image: HubImage) -> str:
        return f"hfds/{name} {image.table} {image.row}"

    groups = [image.group for image in kept] if loaded.group else []
    return Listing(
        [shown(image) for image in kept],
        labels,
        tuple(names),
        splits,
        open_image,
        _hub_key(name, loaded.tables, labels, splits, groups),
        groups,
        {NO_LABEL: [shown(image) for image in hidden]} if hidden else {},
        loaded.warnings,
    )


def _hub_images(name: str, loaded: HubSet) -> list[HubImage]:
    """Return every image of a set.

    Raises:
        InputError: If the column of the splits has an unknown name.
    """
    images = []
    unknown: set[str] = set()
    for part, table in loaded.tables.items():
        part_split = split_named(part)
        columns = [_cells(table, column) for column in (loaded.label, loaded.split, loaded.group)]
        for row, (label, cell, group) in enumerate(zip(*columns, strict=True)):
            text = "" if cell is None else str(cell).strip()
            split = split_named(text) if text else part_split
            if part_split is None or is_unlabeled_name(text):
                label, split = None, TRAIN
            if split is None:
                unknown.add(text)
                continue
            empty = label in (None, -1) or label != label or not str(label).strip()
            known = None if empty else label.strip() if isinstance(label, str) else label
            images.append(HubImage(part, row, known, split, "" if group is None else str(group).strip()))
    if unknown:
        rule = f"'hfds/{name}': '{loaded.split}' must hold train, val, test, unlabeled or nothing"
        raise InputError("data", f"{rule}, got {some_of(sorted(unknown))}; leave out data.columns.split or correct it")
    return images


def _cells(table: Any, column: str | None) -> Sequence[Any]:
    """Return a column of a table, or one of None if the table lacks it."""
    return table[column] if column in table.column_names else [None] * len(table)


def _load_hub(name: str, folder: str, columns: Columns) -> HubSet:
    """Load the tables of the known splits; their images are not decoded.

    Raises:
        InputError: If the set is unavailable; see `list_hub`.
    """
    try:
        import datasets
    except ImportError as error:
        raise InputError(
            "data", f"'hfds/{name}' needs Hugging Face's package; do: pip install 'tdmr_ray[data]'"
        ) from error
    try:
        found = datasets.load_dataset(name, cache_dir=folder)
    except (OSError, RuntimeError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InputError("data", f"'hfds/{name}' is unavailable: {_first_line(error)}") from error
    parts = {str(part): table for part, table in found.items()}
    tables = {part: each for part, each in parts.items() if split_named(part) is not None or is_unlabeled_name(part)}
    labelled = next((table for part, table in tables.items() if split_named(part) == TRAIN), None)
    if labelled is None:
        raise InputError("data", f"'hfds/{name}' must have a split 'train', got {some_of(list(parts))}")
    got = labelled.column_names
    places, problems = find_columns(got, columns, path="image", where=f"'hfds/{name}'")
    if problems or places.label is None:
        raise InputError("data", problems)
    image, label = got[places.path], got[places.label]
    feature = labelled.features[label]
    if not isinstance(feature, datasets.ClassLabel | datasets.Value):
        raise InputError("data", f"'hfds/{name}': only one label per image is supported, got lists in '{label}'")
    try:
        cast = {part: table.cast_column(image, datasets.Image(decode=False)) for part, table in tables.items()}
    except (TypeError, ValueError, KeyError, NotImplementedError) as error:
        got_type = labelled.features[image]
        raise InputError("data", f"'hfds/{name}': '{image}' must be a column of images, got {got_type}") from error
    unknown = [f"{part} ({len(table)} images)" for part, table in parts.items() if part not in tables]
    warnings = [f"'hfds/{name}': splits with unknown names are not used: {some_of(unknown)}"] if unknown else []
    # A hub set names its splits itself: a column counts only if the user gave its name, not by the default "split".
    split = None if places.split is None or columns.split == Columns().split else got[places.split]
    group = None if places.group is None else got[places.group]
    return HubSet(cast, image, label, split, group, tuple(getattr(feature, "names", None) or ()), warnings)


def _hub_key(
    name: str, tables: dict[str, Any], labels: NDArray[np.int64], splits: NDArray[np.int8], groups: Sequence[str]
) -> str:
    """Hash labels and the names of prepared files, which contain the revision, or a hash of local paths and times."""
    files = [Path(file["filename"]) for table in tables.values() for file in table.cache_files]
    prepared = "|".join("/".join(file.parts[-5:]) for file in files)
    return hashlib.sha256(
        "|".join([name, prepared, *groups]).encode() + labels.tobytes() + splits.tobytes()
    ).hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
