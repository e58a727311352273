"""`python -m tdmr_ray.export DIR/best/PAIR`: a shipped target as ONNX, measured again on val before it is believed."""

import warnings
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from tdmr_ray.cli import run_command
from tdmr_ray.data.task import load_task
from tdmr_ray.deploy.shipped_model import ShippedModel, load_shipped_model
from tdmr_ray.errors import InputError
from tdmr_ray.method.resize import resize
from tdmr_ray.training.evaluate import evaluate

TOLERANCE = 1e-3
"""Largest difference of a probability between the network and its export."""


class _Classifier(nn.Module):
    """Images in 0..1 to probabilities, as the exported file does."""

    def __init__(self, shipped: ShippedModel) -> None:
        super().__init__()
        self.target = shipped.target

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.target(images).logits.softmax(dim=1)
        return probabilities


def export(
    folder: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results.")],
    out: Annotated[Path | None, typer.Option(help="The file [target.onnx in the folder].")] = None,
) -> None:
    """Write ONNX: input 'images' in 0..1 [B, 3, px, px], output 'probabilities' [B, C]."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError("export", "needs onnx and onnxruntime; do: pip install 'tdmr_ray[export]'") from error
    shipped = load_shipped_model(folder)
    path = out or folder / "target.onnx"
    write_onnx(shipped, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    try:
        top1 = check_export(shipped, session)
    except InputError:
        path.unlink()
        raise
    typer.echo(
        f"{path}: {path.stat().st_size / 1e6:.2f} MB, val/top1 {top1:.4f} (before export {shipped.val_top1:.4f})"
    )


def write_onnx(shipped: ShippedModel, path: Path) -> None:
    """Export with a batch of any size."""
    network = _Classifier(shipped).eval().to(memory_format=torch.contiguous_format)
    example = torch.zeros(2, 3, shipped.image_px, shipped.image_px)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def check_export(shipped: ShippedModel, session: Any) -> float:
    """The exported file's accuracy on val.

    Raises:
        InputError: If it says anything else than the network did.
    """
    task = load_task(shipped.config.data)
    device = torch.device("cpu")

    def ask(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": resize(images, shipped.image_px).numpy()})[0])

    exported = evaluate(ask, task.val, device=device)
    original = evaluate(shipped.probabilities, task.val, device=device)
    largest = float((exported.logits - original.logits).abs().max())
    if largest > TOLERANCE:
        raise InputError(
            "export", f"the file differs from the network by {largest:.3g} in a probability; it is removed"
        )
    return exported.top1


if __name__ == "__main__":
    run_command(export)
