"""`tdmr predict MODEL IMAGE...`: classes and probabilities of image files."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from tdmr_ray.cli import FAILED, run_command
from tdmr_ray.data.reading import BadImage
from tdmr_ray.deploy.predicting import Classifier, Prediction, Rules, find_images, predict_files
from tdmr_ray.errors import InputError

SEPARATOR = "|"
"""Stands between the classes of a set."""


def predict(
    model: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results, or an exported .onnx.")],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders with images.")],
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", help="Write path, class, probability and a column for each class to this file."),
    ] = None,
    min_probability: Annotated[
        float, typer.Option(min=0, max=1, help="Least probability of a class; with less it is 'none of these'.")
    ] = 0.0,
    none_of_these: Annotated[
        bool,
        typer.Option(
            "--none-of-these",
            help="Refuse images that look like none of the classes, at the least probability that keeps 95 % of "
            "correctly classified val images. Many images of unknown classes are still accepted.",
        ),
    ] = False,
    coverage: Annotated[
        float | None,
        typer.Option(help="Print the set of classes that holds the correct one for this share of images, e.g. 0.95."),
    ] = None,
) -> None:
    """Print file, class and probability, separated by tabs, one line for each image.

    With --coverage, the classes of the set follow, the most probable first, separated by '|'.

    Unreadable images are skipped and listed at the end; the exit code is then 1.
    """
    classifier = _open(model)
    unreadable: list[str] = []
    rules = Rules.choose(classifier.thresholds, min_probability, none_of_these=none_of_these, coverage=coverage)
    found = _readable(predict_files(classifier, find_images(images), rules), unreadable)
    if csv_file is None:
        for path, prediction in found:
            names = [] if coverage is None else [SEPARATOR.join(prediction.class_set)]
            typer.echo("\t".join([str(path), prediction.class_name, f"{prediction.probability:.4f}", *names]))
    else:
        try:
            typer.echo(f"{csv_file}: {_write_csv(csv_file, classifier.class_names, found, coverage)} images")
        except OSError as error:
            raise InputError("--csv", f"{csv_file} cannot be written: {error.strerror}") from error
    if unreadable:
        typer.echo("\n".join([*unreadable, f"{len(unreadable)} images cannot be read and are left out"]), err=True)
        raise typer.Exit(FAILED)


def _open(model: Path) -> Classifier:
    """Open a model; torch is imported for a folder only."""
    if model.suffix == ".onnx":
        from tdmr_ray.deploy.onnx_model import open_onnx

        return open_onnx(model)
    from tdmr_ray.deploy.small_model import load_model

    return load_model(model)


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
    file: Path, class_names: Iterable[str], found: Iterable[tuple[Path, Prediction]], coverage: float | None
) -> int:
    """Write the table and return its number of images."""
    count = 0
    with file.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        sets = [] if coverage is None else ["set"]
        writer.writerow(["path", "class", "probability", *sets, *class_names])
        for count, (path, each) in enumerate(found, start=1):  # noqa: B007
            probability, *others = [f"{value:.6f}" for value in (each.probability, *each.probabilities)]
            names = [SEPARATOR.join(each.class_set)] if sets else []
            writer.writerow([path, each.class_name, probability, *names, *others])
    return count


if __name__ == "__main__":
    run_command(predict)
