"""Images in tar files in the layout of webdataset."""

import io
import re
import tarfile
from pathlib import Path

import numpy as np

from tdmr_ray.data.listing.listing import Listing, natural_order, some_of, stat_key
from tdmr_ray.data.reading import SUFFIXES, ImageSource
from tdmr_ray.data.split_names import ANY, SPLIT_NAMES
from tdmr_ray.errors import InputError


def list_shards(pattern: str) -> Listing:
    """List tar files with an image and a label of the same name: NAME.jpg and NAME.cls (a number) or NAME.txt (a name).

    A tar file whose name contains train, val or test is of that split. Images are read in place, nothing is unpacked.

    Raises:
        InputError: If a tar file does not exist, or an image has no label.
    """
    paths = [Path(text).expanduser() for text in _expanded(pattern)]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        raise InputError("data", f"{len(missing)} shards do not exist: {some_of(missing) or pattern}")
    samples = [sample for path in paths for sample in _samples(path)]
    without = [f"{path}:{name}" for path, name, _, _, label in samples if label is None]
    if without:
        raise InputError("data", f"{len(without)} images have neither .cls nor .txt beside them: {some_of(without)}")
    found = {str(label) for *_, label in samples}
    names = sorted(found, key=natural_order)
    by_name = {name: number for number, name in enumerate(names)}

    def open_image(row: int) -> ImageSource:
        path, _, start, count, _ = samples[row]
        with path.open("rb") as file:
            file.seek(start)
            return io.BytesIO(file.read(count))

    labels = np.array([by_name[str(label)] for *_, label in samples], np.int64)
    splits = np.array([_split_in(path.name) for path, *_ in samples], np.int8)
    key = stat_key([*paths], labels, splits)
    return Listing([f"{path}:{name}" for path, name, *_ in samples], labels, tuple(names), splits, open_image, key)


def _samples(path: Path) -> list[tuple[Path, str, int, int, str | None]]:
    """Return for each image of a shard: path, name, offset and length of its bytes, and label."""
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


def _split_in(name: str) -> int:
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), ANY)


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
