"""The program in `predict.pyz`: predictions with numpy, Pillow and a runtime, and without this package installed."""

import argparse
import sys
from pathlib import Path

from tdmr_ray.deploy.exported import choose_exported, open_exported
from tdmr_ray.deploy.predicting import Rules
from tdmr_ray.deploy.prediction_output import write_predictions
from tdmr_ray.errors import InputError

FAILED, WRONG_INPUT = 1, 2


def main() -> int:
    """Classify the images on the command line and return the exit code."""
    given = _parser().parse_args()
    try:
        model = given.model or choose_exported(Path(sys.argv[0]).resolve().parent)
        classifier = open_exported(model)
        rules = Rules.choose(
            classifier.thresholds,
            given.min_probability,
            none_of_these=given.none_of_these,
            coverage=given.coverage,
        )
        all_read = write_predictions(classifier, given.images, given.csv, rules)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_INPUT
    return 0 if all_read else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Print file, class and probability of images, separated by tabs. Needs numpy, pillow, and "
        "onnxruntime or ai-edge-litert. Unreadable images are listed at the end; the exit code is then 1."
    )
    parser.add_argument("images", nargs="+", type=Path, help="image files, or folders with images")
    parser.add_argument("--model", type=Path, help="an exported .onnx or .tflite [the one beside this file]")
    parser.add_argument(
        "--csv", type=Path, help="write path, class, probability and a column for each class to this file"
    )
    parser.add_argument(
        "--min-probability",
        type=_probability,
        default=0.0,
        help="least probability of a class; with less it is 'none of these'",
    )
    parser.add_argument(
        "--none-of-these",
        action="store_true",
        help="refuse images that look like none of the classes, at the threshold of val",
    )
    parser.add_argument(
        "--coverage", type=float, help="print the set of classes that holds the correct one for this share, e.g. 0.95"
    )
    return parser


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, got {text}")
    return value
