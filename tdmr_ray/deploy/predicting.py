"""Prediction for image files with any kind of exported model. Imports no torch."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.reading import BadImage, InputFormat, is_image, read_image
from tdmr_ray.errors import InputError
from tdmr_ray.machine import available_cores
from tdmr_ray.training.thresholds import Thresholds, names_of_set

BATCH_SIZE = 64
NONE_OF_THESE = "none of these"
"""Class of images that look like none of the classes."""


@dataclass(frozen=True)
class Prediction:
    """Prediction for one image.

    Attributes:
        class_name: The most probable class, or `NONE_OF_THESE`.
        probability: The largest probability.
        probabilities: Probabilities of all classes, [C].
        class_set: Classes that the image may have, the most probable first; empty unless a coverage was wanted.
    """

    class_name: str
    probability: float
    probabilities: NDArray[np.float32]
    class_set: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """How probabilities become a prediction.

    Attributes:
        min_probability: Least probability of a class; with less, an image is `NONE_OF_THESE`.
        set_probability: Least probability of the classes in `class_set`; None leaves it empty.
    """

    min_probability: float = 0.0
    set_probability: float | None = None

    @classmethod
    def choose(
        cls,
        thresholds: Thresholds,
        min_probability: float = 0.0,
        *,
        none_of_these: bool = False,
        coverage: float | None = None,
    ) -> "Rules":
        """Take rules from a model's thresholds.

        Args:
            thresholds: The model's.
            min_probability: Least probability of a class.
            none_of_these: Whether the threshold that val chose applies too.
            coverage: Wanted coverage of `class_set`.

        Raises:
            InputError: If val had too few images for them.
        """
        return cls(
            max(min_probability, thresholds.none_of_these() if none_of_these else 0.0),
            None if coverage is None else thresholds.for_coverage(coverage),
        )


class Classifier(Protocol):
    """A model that classifies images of one format."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The C classes."""

    @property
    def input_format(self) -> InputFormat:
        """Format in which files are read."""

    @property
    def thresholds(self) -> Thresholds:
        """Thresholds on its probabilities."""

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map uint8 images [B, 3, size_px, size_px] to probabilities [B, C]."""


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Return the files, and the images in the folders and below them, in order of their names.

    Raises:
        InputError: With every folder that holds no image.
    """
    files: list[Path] = []
    empty = []
    for path in paths:
        found = _images_below(path) if path.is_dir() else [path]
        files += found
        if not found:
            empty.append(f"{path} holds no images; give images, or folders with images")
    if empty:
        raise InputError("predict", empty)
    return files


def predict_files(
    model: Classifier, paths: Iterable[Path], rules: Rules = Rules()
) -> Iterator[tuple[Path, Prediction | BadImage]]:
    """Classify files in batches; yield each file with its prediction, or the reason why it cannot be read."""
    waiting = iter(paths)
    with ThreadPoolExecutor(available_cores()) as pool:
        while batch := list(islice(waiting, BATCH_SIZE)):
            read = list(pool.map(partial(_read, form=model.input_format), batch))
            good = [pixels for pixels in read if not isinstance(pixels, BadImage)]
            rows = iter(predict_pixels(model, np.stack(good), rules) if good else [])
            for path, pixels in zip(batch, read, strict=True):
                yield path, pixels if isinstance(pixels, BadImage) else next(rows)


def predict_pixels(model: Classifier, pixels: NDArray[np.uint8], rules: Rules = Rules()) -> Sequence[Prediction]:
    """Classify uint8 images [B, 3, size_px, size_px] of the model's format."""
    return [_prediction(row, model.class_names, rules) for row in model.classify(pixels)]


def _images_below(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder))]
    return sorted(path for path in files if is_image(path))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read(path: Path, form: InputFormat) -> NDArray[np.uint8] | BadImage:
    try:
        return read_image(path, form)
    except BadImage as bad:
        return bad


def _prediction(row: NDArray[np.float32], class_names: tuple[str, ...], rules: Rules) -> Prediction:
    best, least = int(row.argmax()), rules.set_probability
    names = () if least is None else names_of_set(row, class_names, least)
    name = class_names[best] if row[best] >= rules.min_probability else NONE_OF_THESE
    return Prediction(name, float(row[best]), row, names)
