"""Export of a small model to files for devices; each is run and measured before it is kept."""

import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.deploy.artifact import ARTIFACTS, Artifact, add_artifact
from tdmr_ray.deploy.batches import Pixels, in_batches
from tdmr_ray.deploy.check_images import CheckImages, check_images_of, load_check_images
from tdmr_ray.deploy.exported import OPENERS
from tdmr_ray.deploy.formats import FORMATS, Conversion, Format, Precision
from tdmr_ray.deploy.graph import DeployedGraph
from tdmr_ray.deploy.measuring import measure
from tdmr_ray.deploy.onnx_model import metadata_of
from tdmr_ray.deploy.predict_archive import write_predict_archive
from tdmr_ray.deploy.quantizing import CannotConvert, Export, Quantization, Quantizer
from tdmr_ray.deploy.quiet import quiet
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.errors import InputError
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.model_folder import weights_digest

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1.0, "int8": 1.0}
"""Largest difference of a probability from the network's; of fp16 and int8 only the accuracy counts."""
MAX_LOSS = 0.02
"""Accuracy that a file may lose against the network; one image more is always allowed."""


@dataclass(frozen=True)
class Failure:
    """A file that was not written.

    Attributes:
        format: Name of its format.
        precision: Its precision.
        reason: What is wrong, in one line.
    """

    format: str
    precision: Precision
    reason: str


def export_model(
    model: SmallModel,
    folder: Path,
    wanted: Iterable[tuple[str, Precision]],
    *,
    batch: int = 1,
    source: Path | None = None,
    task: Task | None = None,
    max_loss: float = MAX_LOSS,
    quantization: Quantization = "post",
    on_result: Callable[[Artifact | Failure], None] = lambda _: None,
    on_note: Callable[[str], object] = lambda _: None,
) -> list[Artifact | Failure]:
    """Write files, run each on images, and keep those that agree with the network.

    Args:
        model: The model.
        folder: Folder for the files, `artifacts.json` and `predict.pyz`; made if it does not exist.
        wanted: Format and precision of each file.
        batch: Images that a file takes at once.
        source: The model's own folder, in which its weights and its check images are.
        task: Images for a model without check images, and for a training; None loads those that it was made from.
        max_loss: Accuracy that a file may lose.
        quantization: How int8 files are made: `post` training; `aware`, after a training that rounds; or `auto`, which
            trains if a file loses more than half a point on val, and keeps the better one on val.
        on_result: Is told of each file as soon as it is known.
        on_note: Is told of the progress of a training, in lines.

    Raises:
        InputError: If a format's packages are missing, or there are no images to verify files on or to train with.
    """
    asked = list(wanted)
    for name in dict.fromkeys(name for name, _ in asked):
        FORMATS[name].check_installed()
    images = load_check_images(source) if source else None
    if images is None:
        images = check_images_of(task or _own_task(model), joined=model.config.data.join)
    weights = weights_digest(source) if source else None
    graph = DeployedGraph(model).eval()
    metadata = metadata_of(model.class_names, model.input_format, model.temperature, model.thresholds)
    conversion = Conversion(graph, batch, images.calibration, metadata)
    expected = _of_network(graph, images.pixels)
    quantizer = Quantizer(model, conversion, lambda: task or _own_task(model), on_note)
    folder.mkdir(parents=True, exist_ok=True)
    results: list[Artifact | Failure] = []
    for name, precision in asked:
        form = FORMATS[name]
        if precision == "int8":
            export = partial(_export_candidate, form, images, expected)
            found = _export_int8(form, quantizer, quantization, export, folder, max_loss)
        else:
            found = _export(form, conversion, precision, folder, images, expected, max_loss)
        if isinstance(found, Artifact):
            found = replace(_with_costs(found, folder, images), weights=weights)
            add_artifact(folder, found)
        results.append(found)
        on_result(found)
    if any(isinstance(each, Artifact) and Path(each.file).suffix in OPENERS for each in results):
        write_predict_archive(folder)
    return results


def _export(
    form: Format,
    conversion: Conversion,
    precision: Precision,
    folder: Path,
    images: CheckImages,
    expected: NDArray[np.float32],
    max_loss: float,
) -> Artifact | Failure:
    name = f"target{'' if precision == 'fp32' else f'-{precision}'}{form.suffix}"
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        try:
            with quiet():
                form.write(conversion, precision, path)
                measured = _judge(form, conversion, precision, path, images, expected)
        except Exception as error:  # noqa: BLE001  # converters raise anything
            return Failure(form.name, precision, f"cannot be converted: {_first_line(error)}")
        reason = _objection(measured, max_loss)
        if reason:
            return Failure(form.name, precision, f"{reason}; it is not written")
        for each in Path(scratch).iterdir():
            _replace(each, folder / each.name)
    add_artifact(folder, measured)
    return measured


def _export_candidate(
    form: Format,
    images: CheckImages,
    expected: NDArray[np.float32],
    conversion: Conversion,
    folder: Path,
) -> Artifact:
    found = _export(form, conversion, "int8", folder, images, expected, max_loss=1.0)
    if isinstance(found, Failure):
        raise CannotConvert(found.reason)
    return found


def _export_int8(
    form: Format, quantizer: Quantizer, quantization: Quantization, export: Export, folder: Path, max_loss: float
) -> Artifact | Failure:
    with TemporaryDirectory() as scratch:
        try:
            best = quantizer.best(form, quantization, export, Path(scratch))
        except CannotConvert as error:
            return Failure(form.name, "int8", str(error))
        reason = _objection(best.artifact, max_loss)
        if reason:
            return Failure(form.name, "int8", f"{reason}; it is not written")
        for each in best.folder.iterdir():
            if each.name != ARTIFACTS:
                _replace(each, folder / each.name)
    add_artifact(folder, best.artifact)
    return best.artifact


def _judge(
    form: Format,
    conversion: Conversion,
    precision: Precision,
    path: Path,
    images: CheckImages,
    expected: NDArray[np.float32],
) -> Artifact:
    """Run a file on the check images."""
    size = sum(each.stat().st_size for each in path.parent.rglob("*") if each.is_file())
    known = Artifact(form.name, precision, conversion.batch, path.name, size, verified=False)
    run = form.open(path, threads=1)
    if run is None:
        return known
    found = in_batches(run, images.pixels, conversion.batch)
    return replace(
        known,
        verified=True,
        split=images.split,
        num_images=len(images),
        metrics=_metrics(found, images.labels),
        torch_top1=_metrics(expected, images.labels)["top1"],
        agreement=float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        largest_difference=float(np.abs(found - expected).max()),
    )


def _with_costs(kept: Artifact, folder: Path, images: CheckImages) -> Artifact:
    """Add what no decision depends on: latencies, memory and accuracy on test of a file that was kept."""
    if not kept.verified:
        return kept
    path = folder / kept.file
    try:
        cost = measure(kept.format, path, batch=kept.batch, px=images.pixels.shape[1])
    except (RuntimeError, TimeoutExpired) as error:
        log.warning("%s has no latency and memory: %s", path, error)
    else:
        kept = replace(kept, start_ms=cost.start_ms, peak_mb=cost.peak_mb, latencies=cost.latencies)
    if images.test is None:
        return kept
    with quiet():
        run = FORMATS[kept.format].open(path, threads=1)
        assert run is not None, "it ran before it was kept"
        found = in_batches(run, images.test.pixels, kept.batch)
    labels = images.test.labels
    return replace(kept, num_test_images=len(labels), test_top1=_metrics(found, labels)["top1"])


def _objection(artifact: Artifact, max_loss: float) -> str:
    """Return why a file is not trusted; '' if it is."""
    if artifact.top1 is None or artifact.torch_top1 is None or artifact.num_images is None:
        return ""
    difference, limit = artifact.largest_difference or 0.0, LARGEST_DIFFERENCE[artifact.precision]
    if not difference <= limit:
        return f"it differs from the network by {difference:.3g} in a probability, more than {limit:g}"
    lost = artifact.torch_top1 - artifact.top1
    if lost > max_loss + 1 / artifact.num_images:
        return f"it loses {100 * lost:.1f} points on {artifact.split}, more than {100 * max_loss:g}"
    return ""


@torch.inference_mode()
def _of_network(graph: DeployedGraph, pixels: Pixels) -> NDArray[np.float32]:
    found: NDArray[np.float32] = torch.cat([graph(part) for part in torch.from_numpy(pixels).split(32)]).numpy()
    return found


def _metrics(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    logits = torch.from_numpy(probabilities).clamp(min=torch.finfo(torch.float32).tiny).log()
    return Evaluation(logits, torch.from_numpy(labels)).metrics


def _own_task(model: SmallModel) -> Task:
    """Load the images that a model was made from.

    Raises:
        InputError: If they are gone, or were arrays.
    """
    task = load_task(model.config.data)
    if (task.class_names, task.image_px) != (model.class_names, model.input_format.size_px):
        raise InputError(
            "export", "the model was not made from files; call tdmr_ray.deploy.exporting.export_model with its task"
        )
    return task


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    shutil.move(source, target)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
