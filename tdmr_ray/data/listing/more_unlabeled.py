"""Images without labels from another place than the data set itself."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tdmr_ray.data.config import LOOSE, DataConfig
from tdmr_ray.data.listing.listing import Listing, readable, stat_key
from tdmr_ray.data.listing.tables import read_paths
from tdmr_ray.data.listing.walk import Ignored, walk
from tdmr_ray.data.paths import is_folder
from tdmr_ray.data.reading import ImageSource
from tdmr_ray.data.split_names import TRAIN, UNLABELED
from tdmr_ray.errors import InputError

LISTED_ALREADY = "without a label, but listed in the data set already"


def add_unlabeled(listing: Listing, source: str, config: DataConfig) -> Listing:
    """Add the images of a folder, or of `csv:FILE`, without labels.

    Raises:
        InputError: If there is no such folder or table, or it holds no image that is new.
    """
    ignored: Ignored = {reason: list(names) for reason, names in listing.ignored.items()}
    if source.startswith("csv:"):
        paths = read_paths(Path(source.removeprefix("csv:")), config.columns)
    elif not is_folder(Path(source)):
        got = f"data.unlabeled must be true, false, loose, an existing folder or csv:FILE, got '{source}'"
        raise InputError("data", got)
    elif Path(source).resolve() == Path(config.name).expanduser().resolve():
        rule = f"data.unlabeled must be another folder than the data set, got {source}"
        raise InputError("data", f"{rule}; to use the images beside the class folders, set data.unlabeled: {LOOSE}")
    else:
        paths = walk(Path(source), ignored).all_images()
    known = {path.resolve() for path in _files_of(listing)}
    new = [path for path in paths if path.resolve() not in known]
    old = [readable(path) for path in paths if path.resolve() in known]
    if old:
        ignored[LISTED_ALREADY] = old
    if not new:
        reason = f"; its {len(old)} images are part of the data set already" if old else ""
        raise InputError("data", f"data.unlabeled must add images, got none in {source}{reason}")
    return replace(_joined(listing, new), ignored=ignored)


def _files_of(listing: Listing) -> Iterable[Path]:
    sources = (listing.open(row) for row in range(len(listing.names))) if listing.has_files else ()
    return (source for source in sources if isinstance(source, Path))


def _joined(listing: Listing, paths: list[Path]) -> Listing:
    count, more = len(listing.names), len(paths)
    labels = np.concatenate([listing.labels, np.full(more, UNLABELED)])
    splits = np.concatenate([listing.splits, np.full(more, TRAIN, np.int8)])

    def open_image(row: int) -> ImageSource:
        return listing.open(row) if row < count else paths[row - count]

    key = hashlib.sha256((listing.key + stat_key(paths, labels[count:], splits[count:])).encode()).hexdigest()
    return replace(
        listing,
        names=[*listing.names, *map(readable, paths)],
        labels=labels,
        splits=splits,
        open=open_image,
        key=key,
        groups=[*listing.groups, *[""] * more] if listing.groups else (),
    )
