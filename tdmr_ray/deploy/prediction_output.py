"""Predictions as lines or as a table; shared by `tdmr predict` and `predict.pyz`. Imports no torch."""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tdmr_ray.data.reading import BadImage
from tdmr_ray.deploy.predicting import Classifier, Prediction, Rules, find_images, predict_files
from tdmr_ray.errors import InputError

SEPARATOR = "|"
"""Stands between the classes of a set."""


def write_predictions(classifier: Classifier, images: Iterable[Path], csv_file: Path | None, rules: Rules) -> bool:
    """Classify images and print a line for each, or write a table; return whether all could be read.

    Raises:
        InputError: If a folder holds no images, or the table cannot be written.
    """
    with_sets = rules.set_probability is not None
    unreadable: list[str] = []
    found = _readable(predict_files(classifier, find_images(images), rules), unreadable)
    if csv_file is None:
        for path, prediction in found:
            names = [SEPARATOR.join(prediction.class_set)] if with_sets else []
            line = "\t".join([str(path), prediction.class_name, f"{prediction.probability:.4f}", *names])
            sys.stdout.write(f"{line}\n")
    else:
        try:
            sys.stdout.write(f"{csv_file}: {_write_csv(csv_file, classifier.class_names, found, with_sets)} images\n")
        except OSError as error:
            raise InputError("--csv", f"{csv_file} cannot be written: {error.strerror}") from error
    if unreadable:
        lines = [*unreadable, f"{len(unreadable)} images cannot be read and are left out"]
        sys.stderr.write("\n".join(lines) + "\n")
    return not unreadable


def _readable(
    found: Iterable[tuple[Path, Prediction | BadImage]], unreadable: list[str]
) -> Iterator[tuple[Path, Prediction]]:
    """Yield the predictions, and append a line to `unreadable` for each image without one."""
    for path, prediction in found:
        if isinstance(prediction, BadImage):
            unreadable.append(f"{path}: cannot be read as an image: {prediction}")
        else:
            yield path, prediction


def _write_csv(
    file: Path, class_names: Iterable[str], found: Iterable[tuple[Path, Prediction]], with_sets: bool
) -> int:
    """Write the table and return its number of images."""
    count = 0
    with file.open("w", newline="", encoding="utf-8", errors="backslashreplace") as table:
        writer = csv.writer(table)
        sets = ["set"] if with_sets else []
        writer.writerow(["path", "class", "probability", *sets, *class_names])
        for count, (path, each) in enumerate(found, start=1):  # noqa: B007
            probability, *others = [f"{value:.6f}" for value in (each.probability, *each.probabilities)]
            names = [SEPARATOR.join(each.class_set)] if sets else []
            writer.writerow([path, each.class_name, probability, *names, *others])
    return count
