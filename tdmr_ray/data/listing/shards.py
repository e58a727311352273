"""Images in tar files in the layout of webdataset."""

import io
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tdmr_ray.data.listing.listing import Listing, natural_order, some_of, stat_key
from tdmr_ray.data.paths import is_file
from tdmr_ray.data.reading import SUFFIXES, ImageSource
from tdmr_ray.data.split_names import ANY, SPLIT_NAMES, TEST, TRAIN, UNLABELED, UNLABELED_NAMES, VAL
from tdmr_ray.errors import InputError

NO_LABEL = "images of val or test without a label"
"""Reason in `Listing.ignored`."""


@dataclass(frozen=True)
class Sample:
    """An image in a shard.

    Attributes:
        shard: The tar file.
        name: Name of the image in it.
        start: Position of its first byte.
        size: Number of its bytes.
        label: Class name, '' for none.
        split: `ANY`, `TRAIN`, `VAL` or `TEST`.
    """

    shard: Path
    name: str
    start: int
    size: int
    label: str
    split: int

    @property
    def shown(self) -> str:
        """Name for messages."""
        return f"{self.shard}:{self.name}"


def list_shards(pattern: str) -> Listing:
    """List tar files with an image and a label of the same name: NAME.jpg and NAME.cls (a number) or NAME.txt (a name).

    A tar file whose name contains train, val or test, or a usual synonym, is of that split; one whose name contains
    `unlabeled` has no labels. An image without a label joins the training split unlabelled; in val and test it is
    left out. Images are read in place, nothing is unpacked.

    Raises:
        InputError: If a tar file does not exist or is damaged, no image has a label, or there is only one class.
    """
    paths = [Path(text).expanduser() for text in _expanded(pattern)]
    missing = [str(path) for path in paths if not is_file(path)]
    if missing or not paths:
        raise InputError("data", f"{len(missing)} shards do not exist: {some_of(missing) or pattern}")
    found, damaged = [], []
    for path in paths:
        try:
            found += _samples(path)
        except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError) as error:
            damaged.append(f"{path} ({_reason(path, error)})")
    hidden = [sample.shown for sample in found if not sample.label and sample.split in (VAL, TEST)]
    samples = [sample for sample in found if sample.label or sample.split not in (VAL, TEST)]
    names = sorted({sample.label for sample in samples if sample.label}, key=natural_order)
    problems = [f"{len(damaged)} shards cannot be read: {some_of(damaged)}; copy or make them again"] if damaged else []
    if not damaged and not names:
        without = [sample.shown for sample in found]
        problems.append(f"{len(without)} images have neither .cls nor .txt beside them: {some_of(without) or pattern}")
    elif not damaged and len(names) == 1:
        problems.append(f"{pattern} must have at least two classes, got only '{names[0]}'")
    if problems:
        raise InputError("data", problems)
    by_name = {name: number for number, name in enumerate(names)}

    def open_image(row: int) -> ImageSource:
        sample = samples[row]
        with sample.shard.open("rb") as file:
            file.seek(sample.start)
            return io.BytesIO(file.read(sample.size))

    labels = np.array([by_name.get(sample.label, UNLABELED) for sample in samples], np.int64)
    splits = np.array([sample.split if sample.label else TRAIN for sample in samples], np.int8)
    key = stat_key(paths, labels, splits)
    shown = [sample.shown for sample in samples]
    ignored = {NO_LABEL: hidden} if hidden else {}
    return Listing(shown, labels, tuple(names), splits, open_image, key, ignored=ignored)


def _samples(path: Path) -> list[Sample]:
    """List the images of a shard.

    Raises:
        TarError: If it is damaged; also other errors of the module `tarfile`.
        ValueError: If a label is not in UTF-8.
    """
    labels: dict[str, str] = {}
    images = []
    with tarfile.open(path, "r:") as shard:
        for member in shard:
            stem, _, suffix = member.name.rpartition(".")
            if not member.isfile() or member.name.rpartition("/")[2].startswith("."):
                continue
            if suffix in ("cls", "txt"):
                content = shard.extractfile(member)
                labels[stem] = content.read().decode("utf-8-sig").strip() if content else ""
            elif f".{suffix.lower()}" in SUFFIXES:
                images.append((stem, member))
        end = shard.offset
    with path.open("rb") as file:
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
            raise tarfile.ReadError(f"no valid header at byte {end}")
    words = re.split(r"[^a-z]+", path.name.lower())
    split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), ANY)
    if not UNLABELED_NAMES.isdisjoint(words):
        labels, split = {}, TRAIN
    return [Sample(path, m.name, m.offset_data, m.size, labels.get(stem, ""), split) for stem, m in images]


def _reason(path: Path, error: Exception) -> str:
    """Return why a shard cannot be read, on one line."""
    try:
        with path.open("rb") as file:
            compressed = file.read(2) in (b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5")
    except OSError:
        compressed = False
    if compressed:
        return "it is compressed; unpack it to a plain .tar"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _expanded(pattern: str) -> list[str]:
    """Expand `a-{00..02}.tar` to three names, and `*` to the files that exist."""
    braces = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if braces:
        first, last = braces.groups()
        numbers = range(int(first), int(last) + 1)
        return [pattern.replace(braces[0], str(number).zfill(len(first))) for number in numbers]
    if "*" in pattern:
        path = Path(pattern).expanduser()
        return sorted(str(each) for each in path.parent.glob(path.name))
    return [pattern]
