"""Export to ONNX, verified on images before it is kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Images, Task
from tdmr_ray.deploy.onnx_model import metadata_of
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.errors import InputError
from tdmr_ray.models.onnx_graph import write_onnx_graph
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.workers import Metrics

TOLERANCE = 1e-3
"""Largest difference of a probability between the network and its export."""


@dataclass(frozen=True)
class Verified:
    """Metrics of an exported file, whose probabilities are those of the network.

    Attributes:
        split: Split whose images were classified; see `verification_images`.
        objective: Name of the metric by which the network was chosen.
        metrics: All metrics of the file, by name.
        before: All metrics of the network.
    """

    split: str
    objective: str
    metrics: Metrics
    before: Metrics

    @property
    def top1(self) -> float:
        """Accuracy of the file."""
        return self.metrics["top1"]


class _Classifier(nn.Module):
    """The exported graph: images in 0..1, as files are read, to probabilities.

    Scaling to the target's input size is linear and separable, so two matrix products do it on every runtime.
    """

    scaling: Tensor | None

    def __init__(self, model: SmallModel) -> None:
        super().__init__()
        self.target = model.target
        read_px, input_px = model.input_format.size_px, model.target.spec.size_px
        self.register_buffer("scaling", None if read_px == input_px else scaling_matrix(read_px, input_px))

    def forward(self, images: Tensor) -> Tensor:
        if self.scaling is not None:
            images = self.scaling @ images @ self.scaling.T
        probabilities: Tensor = self.target(images).logits.softmax(dim=1)
        return probabilities


def scaling_matrix(from_px: int, to_px: int) -> Tensor:
    """Return the matrix [to_px, from_px] that scales one side of an image as `method.resize` does."""
    identity = torch.eye(from_px)[None, None]
    return interpolate(identity, size=(to_px, from_px), mode="bilinear", align_corners=False, antialias=True)[0, 0]


def export_onnx(model: SmallModel, path: Path, task: Task | None = None) -> Verified:
    """Write an ONNX file with input 'images' in 0..1 [B, 3, px, px] and output 'probabilities' [B, C].

    The side is that of `input_format`, which is in the file's metadata with the class names.

    Args:
        model: The model.
        path: The file.
        task: Images on which the file is verified; None loads those that the model was made from.

    Raises:
        InputError: If onnxruntime is missing, or the file's probabilities differ from the network's; it is removed.
    """
    try:
        import onnx  # noqa: F401  # write_onnx needs it
        import onnxruntime
        import onnxscript  # noqa: F401  # torch needs it
    except ImportError as error:
        raise InputError("export", "needs onnx and onnxruntime; do: pip install 'tdmr_ray[export]'") from error
    seen = task or _own_task(model)
    write_onnx(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    try:
        return check_export(model, session, seen)
    except InputError:
        path.unlink()
        raise


def write_onnx(model: SmallModel, path: Path) -> None:
    """Write the file, with a batch of any size.

    Raises:
        ImportError: If onnx or onnxscript is missing.
    """
    import onnx

    size_px = model.input_format.size_px
    network = _Classifier(model).to(memory_format=torch.contiguous_format)
    write_onnx_graph(network, path, size_px=size_px, output="probabilities")
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, metadata_of(model.class_names, model.input_format))
    onnx.save(graph, path)


def _own_task(model: SmallModel) -> Task:
    """Load the images that a model was made from.

    Raises:
        InputError: If they are gone, or were arrays.
    """
    task = load_task(model.config.data)
    if (task.class_names, task.image_px) != (model.class_names, model.input_format.size_px):
        raise InputError("export", "the model was not made from files; call deploy.onnx.export_onnx with its task")
    return task


def verification_images(task: Task) -> tuple[str, Images]:
    """Return the split on which an export is verified, and its name.

    It is val; test after a refit that trained on val, and the labelled training images if it trained on both.
    """
    splits = {"val": task.val, "test": task.test, "train": task.labeled}
    return next((name, images) for name, images in splits.items() if len(images))


def check_export(model: SmallModel, session: Any, task: Task) -> Verified:
    """Return the metrics of an exported file; see `verification_images` for the images.

    Raises:
        InputError: If its probabilities differ from the network's.
    """
    device = torch.device("cpu")

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    split, images = verification_images(task)
    exported = evaluate(run, images, device=device)
    original = evaluate(model.probabilities, images, device=device)
    largest = float((exported.logits - original.logits).abs().max())
    if largest > TOLERANCE:
        raise InputError(
            "export", f"the file differs from the network by {largest:.3g} in a probability; it is removed"
        )
    metrics, before = (_metrics_of(each) for each in (exported, original))
    return Verified(split, model.config.objective, metrics, before)


def _metrics_of(found: Evaluation) -> Metrics:
    """Return the metrics of an evaluation that holds probabilities in place of logits."""
    smallest = torch.finfo(found.logits.dtype).tiny
    return Evaluation(found.logits.clamp(min=smallest).log(), found.labels).metrics
