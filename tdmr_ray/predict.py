"""`python -m tdmr_ray.predict DIR/best/PAIR IMAGE...`: what a shipped target says about images."""

from pathlib import Path
from typing import Annotated

import typer

from tdmr_ray.cli import run_command
from tdmr_ray.deploy.shipped_model import load_shipped_model


def predict(
    folder: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
) -> None:
    """Print file, class and probability, a line for each image, separated by tabs."""
    shipped = load_shipped_model(folder)
    for path in images:
        probabilities = shipped.probabilities(shipped.read_image(path))[0]
        best = int(probabilities.argmax())
        typer.echo(f"{path}\t{shipped.class_names[best]}\t{float(probabilities[best]):.4f}")


if __name__ == "__main__":
    run_command(predict)
