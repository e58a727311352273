"""A artifact: a teacher with its outputs, as files. Made once, used by every trial that has the same key."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter

import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tdmr_ray.data.task import Task
from tdmr_ray.method.teacher import Teacher
from tdmr_ray.models import Foundation, load_foundation
from tdmr_ray.models.weights import create_network
from tdmr_ray.training.config import FoundationConfig, TrialConfig, hash_json
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.reprogram import History, build_teacher, fit_teacher
from tdmr_ray.training.teacher_outputs import LiveOutputs, StoredOutputs, TeacherOutputs, store_outputs, training_views
from tdmr_ray.training.workers import ALONE, Workers

WEIGHTS, EMBEDDING, LOGITS, REPORT = "teacher.safetensors", "embedding.npy", "logits.npy", "report.json"
_TRAINING = ("reprogram", "self_training", "outputs", "batches", "workers", "device", "micro_batches")
_PARTS = ("foundation", "prompt", "mapping", "reprogram", "pseudo_labels", "views", "outputs", "precision", "seed")
_CODE = ("method", "models", "data/views.py", *(f"training/{name}.py" for name in _TRAINING))


@dataclass(frozen=True)
class TeacherArtifact:
    """A teacher's learned weights, its answers, and how it came about.

    Attributes:
        weights: Prompt and mapping, by name.
        outputs: For the training views; None if every trial asks the teacher itself.
        history: Metrics of each epoch of reprogramming.
        val_top1: Of the teacher.
        seconds: That it took to make.
        notes: What a reader of a trial with it should know.
    """

    weights: dict[str, Tensor]
    outputs: StoredOutputs | None
    history: History
    val_top1: float
    seconds: float
    notes: list[str]


TeacherProvider = Callable[[TrialConfig, Task], TeacherArtifact]
"""Where a trial gets its artifact from: made on the spot (`make_teacher`), or out of a store."""


@cache
def resident_foundation(part: FoundationConfig) -> Foundation:
    """A foundation that stays in memory, on the device, for every trial of this process."""
    return load_foundation(part.name, weights=part.weights, image_px=part.image_px).to(pick_device())


@cache
def foundation_digest(part: FoundationConfig) -> str:
    """SHA-256 of a foundation's weights; the foundation does not stay in memory for it."""
    return digest_of(load_foundation(part.name, weights=part.weights, image_px=part.image_px))


@cache
def start_digest(name: str, weights: str) -> str:
    """SHA-256 of the weights that a target starts from, a classifier of theirs among them; '' for random ones."""
    return digest_of(create_network(name, weights)) if weights else ""


def digest_of(network: nn.Module) -> str:
    """SHA-256 of a network's weights."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def teacher_key(config: TrialConfig, fingerprint: str) -> str:
    """A hash of all that a artifact depends on: data, foundation, prompt, mapping, views, seed and the method's code.

    `precision` is in it as it was asked for: what `auto` comes to depends on the machine that makes the artifact, and
    who works out the key, such as a driver without a GPU, is another one. So a artifact under `auto` is shared whatever
    it came to, as it is between kinds of devices, and one under `fp32` or `bf16` was made in just that.
    """
    parts = config.model_dump(mode="json", include=set(_PARTS))
    if config.outputs.kind == "live":
        parts["outputs"] = "live"
    digest = foundation_digest(config.foundation)
    return hash_json({**parts, "data": fingerprint, "weights": digest, "code": _code_digest()})


@cache
def _code_digest() -> str:
    """SHA-256 of the sources that decide what a artifact holds."""
    package = Path(__file__).parents[1]
    files = [path for name in _CODE for path in (package / name, *(package / name).rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files) if path.is_file())).hexdigest()


def make_teacher(config: TrialConfig, task: Task, workers: Workers = ALONE) -> TeacherArtifact:
    """Reprogram the foundation and collect its outputs; all workers have the same artifact in the end.

    Raises:
        NonFiniteLoss: If reprogramming diverges.
        ValueError: If prompt or mapping do not fit the foundation.
    """
    started, device = perf_counter(), pick_device()
    fitted = fit_teacher(config, task, resident_foundation(config.foundation), device, workers)
    stored = None
    if config.outputs.kind == "stored":
        views = training_views(config, task)
        live = LiveOutputs(fitted.teacher, views, config.outputs, device, workers)
        stored = store_outputs(live, views, workers)
    weights = {name: value.cpu().contiguous() for name, value in fitted.teacher.state_dict().items()}
    seconds = perf_counter() - started
    return TeacherArtifact(weights, stored, fitted.history, fitted.val_top1, seconds, fitted.notes)


def open_outputs(config: TrialConfig, task: Task, artifact: TeacherArtifact) -> TeacherOutputs:
    """What a target learns from: what is stored, or the teacher itself."""
    if artifact.outputs is not None:
        return artifact.outputs
    teacher = restore_teacher(config, artifact, task.num_classes)
    return LiveOutputs(teacher, training_views(config, task), config.outputs, pick_device())


def restore_teacher(config: TrialConfig, artifact: TeacherArtifact, num_classes: int) -> Teacher:
    """The teacher itself, from the weights in its artifact."""
    foundation = resident_foundation(config.foundation)
    teacher = build_teacher(config, foundation, num_classes)
    teacher.load_state_dict(artifact.weights)
    return teacher.eval().to(pick_device())


def save_artifact(artifact: TeacherArtifact, folder: Path) -> None:
    """Write a artifact's files into an existing folder."""
    save_file(artifact.weights, folder / WEIGHTS)
    if artifact.outputs is not None:
        np.save(folder / EMBEDDING, artifact.outputs.embedding)
        np.save(folder / LOGITS, artifact.outputs.logits)
    report = {
        "history": artifact.history,
        "val_top1": artifact.val_top1,
        "seconds": artifact.seconds,
        "notes": artifact.notes,
    }
    (folder / REPORT).write_text(json.dumps(report))


def load_artifact(folder: Path) -> TeacherArtifact:
    """Open a artifact; its outputs stay on disk, mapped into memory."""
    outputs = None
    if (folder / LOGITS).exists():
        outputs = StoredOutputs(np.load(folder / EMBEDDING, mmap_mode="r"), np.load(folder / LOGITS, mmap_mode="r"))
    return TeacherArtifact(load_file(folder / WEIGHTS), outputs, **json.loads((folder / REPORT).read_text()))
