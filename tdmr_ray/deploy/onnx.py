"""Export to ONNX, verified on val before it is kept."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tdmr_ray.data.loading import load_task
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.errors import InputError
from tdmr_ray.method.resize import resize
from tdmr_ray.training.evaluate import evaluate

TOLERANCE = 1e-3
"""Largest difference of a probability between the network and its export."""


class _Classifier(nn.Module):
    """The exported graph: images in 0..1 to probabilities."""

    def __init__(self, model: SmallModel) -> None:
        super().__init__()
        self.target = model.target

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.target(images).logits.softmax(dim=1)
        return probabilities


def export_onnx(model: SmallModel, path: Path) -> float:
    """Write an ONNX file with input 'images' in 0..1 [B, 3, px, px] and output 'probabilities' [B, C].

    Returns:
        Accuracy of the file on val.

    Raises:
        InputError: If onnxruntime is missing, or the file's probabilities differ from the network's; it is removed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError("export", "needs onnx and onnxruntime; do: pip install 'tdmr_ray[export]'") from error
    write_onnx(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    try:
        return check_export(model, session)
    except InputError:
        path.unlink()
        raise


def write_onnx(model: SmallModel, path: Path) -> None:
    """Write the file, with a batch of any size."""
    network = _Classifier(model).eval().to(memory_format=torch.contiguous_format)
    example = torch.zeros(2, 3, model.image_px, model.image_px)
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


def check_export(model: SmallModel, session: Any) -> float:
    """Return the exported file's accuracy on val.

    Raises:
        InputError: If its probabilities differ from the network's.
    """
    task = load_task(model.config.data)
    device = torch.device("cpu")

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": resize(images, model.image_px).numpy()})[0])

    exported = evaluate(run, task.val, device=device)
    original = evaluate(model.probabilities, task.val, device=device)
    largest = float((exported.logits - original.logits).abs().max())
    if largest > TOLERANCE:
        raise InputError(
            "export", f"the file differs from the network by {largest:.3g} in a probability; it is removed"
        )
    return exported.top1
