"""`tdmr predict DIR/best/PAIR IMAGE...`: classes and probabilities of image files."""

from pathlib import Path
from typing import Annotated

import typer

from tdmr_ray.cli import run_command


def predict(
    folder: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results.")],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
) -> None:
    """Print file, class and probability, separated by tabs, one line for each image."""
    from tdmr_ray.deploy.small_model import load_model

    model = load_model(folder)
    for path in images:
        (found,) = model.predict([path])
        typer.echo(f"{path}\t{found.class_name}\t{found.probability:.4f}")


if __name__ == "__main__":
    run_command(predict)
