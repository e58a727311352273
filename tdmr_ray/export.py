"""`tdmr export DIR/best/PAIR`: a small model as an ONNX file, verified on images."""

from pathlib import Path
from typing import Annotated

import typer

from tdmr_ray.cli import run_command


def export(
    folder: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results.")],
    out: Annotated[Path | None, typer.Option(help="The file [target.onnx in the folder].")] = None,
) -> None:
    """Write ONNX: input 'images' in 0..1 [B, 3, px, px], output 'probabilities' [B, C].

    `tdmr predict FILE.onnx IMAGE...` runs it without torch.
    """
    from tdmr_ray.deploy.onnx import export_onnx
    from tdmr_ray.deploy.small_model import load_model

    model = load_model(folder)
    path = out or folder / "target.onnx"
    verified = export_onnx(model, path)
    size_mb = path.stat().st_size / 1e6
    name = verified.objective
    figures = f"{verified.metrics[name]:.4f} (before export {verified.before[name]:.4f})"
    typer.echo(f"{path}: {size_mb:.2f} MB, {verified.split}/{name} {figures}")


if __name__ == "__main__":
    run_command(export)
