"""`tdmr predict MODEL IMAGE...`: classes and probabilities of image files."""

from pathlib import Path
from typing import Annotated

import typer

from tdmr_ray.cli import FAILED, run_command
from tdmr_ray.deploy.exported import OPENERS, open_exported
from tdmr_ray.deploy.predicting import Classifier, Rules
from tdmr_ray.deploy.prediction_output import write_predictions
from tdmr_ray.machine import available_cores


def predict(
    model: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results, or a .onnx or .tflite.")],
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
    rules = Rules.choose(classifier.thresholds, min_probability, none_of_these=none_of_these, coverage=coverage)
    if not write_predictions(classifier, images, csv_file, rules):
        raise typer.Exit(FAILED)


def _open(model: Path) -> Classifier:
    """Open a model; torch is imported for a folder only."""
    if model.suffix in OPENERS:
        return open_exported(model)
    import torch

    from tdmr_ray.deploy.small_model import load_model

    torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
    return load_model(model)


if __name__ == "__main__":
    run_command(predict)
