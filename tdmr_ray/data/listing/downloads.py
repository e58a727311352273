"""Public collections that are downloaded: torchvision's, through timm, and those of the Hugging Face hub."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tdmr_ray.data.listing.listing import Listing, natural_order, some_of
from tdmr_ray.data.reading import ImageSource
from tdmr_ray.data.split_names import SPLIT_NAMES, TEST, TRAIN
from tdmr_ray.errors import InputError


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


def list_hub(name: str, folder: str) -> Listing:
    """List a data set through Hugging Face's `datasets`; it is prepared in `folder`.

    Images whose label is -1 or missing, as in hidden test sets on the hub, are left out.

    Raises:
        InputError: If it is unavailable, or lacks the split `train` or the columns image and label.
    """
    tables = _load_hub(name, folder)
    given = [(split, row, label) for split, table in tables.items() for row, label in enumerate(table["label"])]
    rows = [each for each in given if each[2] not in (None, -1)]
    classes = getattr(next(iter(tables.values())).features["label"], "names", None)
    names = list(classes or sorted({str(label) for *_, label in rows}, key=natural_order))
    by_name = {text: number for number, text in enumerate(names)}
    labels = np.array([label if classes else by_name[str(label)] for *_, label in rows], np.int64)
    splits = np.array([SPLIT_NAMES[split] for split, *_ in rows], np.int8)

    def open_image(row: int) -> ImageSource:
        split, number, _ = rows[row]
        image = tables[split][number]["image"] or {}
        content = image.get("bytes")
        return io.BytesIO(content) if content else Path(image.get("path") or "")

    shown = [f"hfds/{name} {split} {row}" for split, row, _ in rows]
    return Listing(shown, labels, tuple(names), splits, open_image, _hub_key(name, tables, labels, splits))


def _load_hub(name: str, folder: str) -> dict[str, Any]:
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
    splits = {str(split): table for split, table in found.items() if split in SPLIT_NAMES}
    if TRAIN not in {SPLIT_NAMES[split] for split in splits}:
        raise InputError("data", f"'hfds/{name}' must have a split 'train', got {some_of(list(found))}")
    columns = next(iter(splits.values())).column_names
    if not {"image", "label"} <= set(columns):
        got = ", ".join(sorted(columns))
        raise InputError("data", f"'hfds/{name}' must have the columns image and label, got {got}")
    return {split: table.cast_column("image", datasets.Image(decode=False)) for split, table in splits.items()}


def _hub_key(name: str, tables: dict[str, Any], labels: NDArray[np.int64], splits: NDArray[np.int8]) -> str:
    """Hash labels and the names of prepared files, which contain the revision, or a hash of local paths and times."""
    files = [Path(file["filename"]) for table in tables.values() for file in table.cache_files]
    prepared = "|".join("/".join(file.parts[-5:]) for file in files)
    return hashlib.sha256(f"{name}|{prepared}".encode() + labels.tobytes() + splits.tobytes()).hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
