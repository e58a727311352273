"""Teacher artifacts: weights, stored outputs and pictures, made once for every trial with the same key."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from safetensors.torch import load_file, save_file
from torch import Tensor

from tdmr_ray.code_digest import code_of_plugins, source_digest
from tdmr_ray.data.task import Task
from tdmr_ray.method.mappings import MAPPINGS
from tdmr_ray.method.prompts import PROMPTS
from tdmr_ray.method.teacher import Teacher
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.features import FeaturesProvider, compute_features, with_ids
from tdmr_ray.training.memory import reuse_freed_memory
from tdmr_ray.training.networks import foundation_digest, resident_foundation
from tdmr_ray.training.reprogram import History, build_teacher, fit_teacher
from tdmr_ray.training.teacher_outputs import (
    AveragedOutputs,
    LiveOutputs,
    StoredOutputs,
    TeacherOutputs,
    store_outputs,
    training_views,
)
from tdmr_ray.training.workers import ALONE, Metrics, Workers

WEIGHTS, EMBEDDING, LOGITS = "teacher.safetensors", "embedding.npy", "logits.npy"
PICTURES, REPORT = "pictures.safetensors", "report.json"
PROMPT, MAPPING = "prompt", "mapping"
"""Names of pictures: the prompt, [3, H, W] in 0..1, and the weights of source classes, [S, C]."""


@dataclass(frozen=True)
class TeacherArtifact:
    """A teacher's trained weights, its outputs, and a record of how it was made.

    Attributes:
        weights: Prompt and mapping, by name.
        outputs: Outputs for the training views; None if every trial runs the teacher itself.
        pictures: What there is to see of it: `PROMPT` and `MAPPING`, as far as they apply.
        history: Metrics of each epoch of reprogramming.
        val_metrics: Metrics of the teacher on val, by name; empty without a val split.
        seconds: Time that it took to make.
        notes: Remarks for the reader of a trial that uses it.
    """

    weights: dict[str, Tensor]
    outputs: StoredOutputs | AveragedOutputs | None
    pictures: dict[str, Tensor]
    history: History
    val_metrics: Metrics
    seconds: float
    notes: list[str]

    @property
    def val_top1(self) -> float | None:
        """Accuracy of the teacher on val; None without a val split."""
        return self.val_metrics.get("top1")


TeacherProvider = Callable[[TrialConfig, Task], TeacherArtifact]
"""Gives a trial its teacher: makes it on the spot (`make_teacher`), or takes it from a store."""


def teacher_key(config: TrialConfig, fingerprint: str) -> str:
    """Hash all that a teacher depends on: images, foundation weights, its sections of the configuration, and the code.

    `precision` counts as configured, because `auto` is resolved on the machine that makes the teacher and the key may
    be computed on another one, such as a driver without a GPU. A teacher under `auto` is therefore shared whatever
    it was resolved to, and one under `fp32` or `bf16` was made in exactly that.

    Args:
        config: The trial.
        fingerprint: Fingerprint of the task's images, labels and split.
    """
    sections = config.model_dump(mode="json", include=set(TrialConfig.teacher_sections()))
    if config.outputs.kind == "live":
        sections["outputs"] = "live"
    plugins = code_of_plugins(PROMPTS[config.prompt.kind], MAPPINGS[config.mapping.kind])
    weights, code = foundation_digest(config.foundation), [source_digest(__name__), *plugins]
    return hash_json({**sections, "data": fingerprint, "weights": weights, "code": code})


def uses_features(config: TrialConfig, task: Task) -> bool:
    """Whether a teacher is made from its foundation's features: it stores its outputs and learns no prompt."""
    prompt = build_teacher(config, resident_foundation(config.foundation), task.num_classes).prompt
    return config.outputs.kind == "stored" and not prompt.learns


def make_teacher(
    config: TrialConfig, task: Task, workers: Workers = ALONE, features_of: FeaturesProvider | None = None
) -> TeacherArtifact:
    """Reprogram the foundation and store its outputs; every worker returns the same artifact.

    Args:
        config: The trial.
        task: Its images.
        workers: Processes that make the teacher together.
        features_of: Gives the features of images and views for a teacher that stores its outputs and learns no prompt;
            None computes them here.

    Raises:
        NonFiniteLoss: If reprogramming diverges.
        ValueError: If prompt or mapping do not fit the foundation or the task.
    """
    reuse_freed_memory()
    started, device = perf_counter(), pick_device()
    foundation = resident_foundation(config.foundation)
    stored, features = None, None
    if uses_features(config, task):
        task = with_ids(task)
        features = features_of(config, task) if features_of else compute_features(config, task, workers)
    fitted = fit_teacher(config, task, foundation, device, workers, features)
    if config.outputs.kind == "stored":
        views = training_views(config, task)
        stored = store_outputs(LiveOutputs(fitted.teacher, views, config.outputs, device, workers, features), workers)
    return TeacherArtifact(
        weights=_on_cpu(fitted.teacher.state_dict()),
        outputs=stored,
        pictures=_pictures_of(fitted.teacher),
        history=fitted.history,
        val_metrics=fitted.val_metrics,
        seconds=perf_counter() - started,
        notes=fitted.notes,
    )


def _pictures_of(teacher: Teacher) -> dict[str, Tensor]:
    found = {PROMPT: teacher.prompt.picture(), MAPPING: teacher.mapping.source_weights()}
    return _on_cpu({name: picture for name, picture in found.items() if picture is not None})


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def open_outputs(config: TrialConfig, task: Task, artifact: TeacherArtifact) -> TeacherOutputs:
    """Return the stored outputs, or outputs that run the teacher itself."""
    if artifact.outputs is not None:
        return artifact.outputs
    teacher = restore_teacher(config, artifact, task.num_classes)
    return LiveOutputs(teacher, training_views(config, task), config.outputs, pick_device())


def restore_teacher(config: TrialConfig, artifact: TeacherArtifact, num_classes: int) -> Teacher:
    """Build the teacher from the weights in its artifact."""
    foundation = resident_foundation(config.foundation)
    teacher = build_teacher(config, foundation, num_classes)
    teacher.load_state_dict(artifact.weights)
    return teacher.eval().to(pick_device())


def save_artifact(artifact: TeacherArtifact, folder: Path) -> None:
    """Write an artifact's files into an existing folder."""
    save_file(artifact.weights, folder / WEIGHTS)
    save_file(artifact.pictures, folder / PICTURES)
    if artifact.outputs is not None:
        np.save(folder / EMBEDDING, artifact.outputs.embedding)
        np.save(folder / LOGITS, artifact.outputs.logits)
    report = {
        "history": artifact.history,
        "val_metrics": artifact.val_metrics,
        "seconds": artifact.seconds,
        "notes": artifact.notes,
    }
    (folder / REPORT).write_text(json.dumps(report))


def load_artifact(folder: Path) -> TeacherArtifact:
    """Open an artifact; its outputs stay on disk, mapped into memory."""
    outputs: StoredOutputs | AveragedOutputs | None = None
    if (folder / LOGITS).exists():
        embedding, logits = (np.load(folder / name, mmap_mode="r") for name in (EMBEDDING, LOGITS))
        outputs = (AveragedOutputs if logits.ndim == 2 else StoredOutputs)(embedding, logits)
    report = json.loads((folder / REPORT).read_text())
    return TeacherArtifact(load_file(folder / WEIGHTS), outputs, load_file(folder / PICTURES), **report)
