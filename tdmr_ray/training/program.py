"""A program: a teacher with its signals, as files. Made once, used by every trial that has the same key."""

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
from tdmr_ray.training.signals import LiveSignals, Signals, StoredSignals, store_signals, training_views
from tdmr_ray.training.workers import ALONE, Workers

WEIGHTS, EMBEDDING, LOGITS, REPORT = "teacher.safetensors", "embedding.npy", "logits.npy", "report.json"
_TRAINING = ("reprogram", "self_training", "signals", "batches", "workers", "device", "portions")
_PARTS = ("foundation", "prompt", "mapping", "reprogram", "pseudo_labels", "views", "signals", "precision", "seed")
_CODE = ("method", "models", "data/views.py", *(f"training/{name}.py" for name in _TRAINING))


@dataclass(frozen=True)
class Program:
    """A teacher's learned weights, its answers, and how it came about.

    Attributes:
        weights: Prompt and mapping, by name.
        signals: For the training views; None if every trial asks the teacher itself.
        history: Metrics of each epoch of reprogramming.
        val_top1: Of the teacher.
        seconds: That it took to make.
        notes: What a reader of a trial with it should know.
    """

    weights: dict[str, Tensor]
    signals: StoredSignals | None
    history: History
    val_top1: float
    seconds: float
    notes: list[str]


Foundry = Callable[[TrialConfig, Task], Program]
"""Where a trial gets its program from: made on the spot (`make_program`), or out of a store."""


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


def program_key(config: TrialConfig, fingerprint: str) -> str:
    """A hash of all that a program depends on: data, foundation, prompt, mapping, views, seed and the method's code.

    `precision` is in it as it was asked for: what `auto` comes to depends on the machine that makes the program, and
    who works out the key, such as a driver without a GPU, is another one. So a program under `auto` is shared whatever
    it came to, as it is between kinds of devices, and one under `fp32` or `bf16` was made in just that.
    """
    parts = config.model_dump(mode="json", include=set(_PARTS))
    if config.signals.kind == "live":
        parts["signals"] = "live"
    digest = foundation_digest(config.foundation)
    return hash_json({**parts, "data": fingerprint, "weights": digest, "code": _code_digest()})


@cache
def _code_digest() -> str:
    """SHA-256 of the sources that decide what a program holds."""
    package = Path(__file__).parents[1]
    files = [path for name in _CODE for path in (package / name, *(package / name).rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files) if path.is_file())).hexdigest()


def make_program(config: TrialConfig, task: Task, workers: Workers = ALONE) -> Program:
    """Reprogram the foundation and collect its signals; all workers have the same program in the end.

    Raises:
        NonFiniteLoss: If reprogramming diverges.
        ValueError: If prompt or mapping do not fit the foundation.
    """
    started, device = perf_counter(), pick_device()
    fitted = fit_teacher(config, task, resident_foundation(config.foundation), device, workers)
    stored = None
    if config.signals.kind == "stored":
        views = training_views(config, task)
        live = LiveSignals(fitted.teacher, views, config.signals, device, workers)
        stored = store_signals(live, views, workers)
    weights = {name: value.cpu().contiguous() for name, value in fitted.teacher.state_dict().items()}
    seconds = perf_counter() - started
    return Program(weights, stored, fitted.history, fitted.val_top1, seconds, fitted.notes)


def open_signals(config: TrialConfig, task: Task, program: Program) -> Signals:
    """What a target learns from: what is stored, or the teacher itself."""
    if program.signals is not None:
        return program.signals
    teacher = restore_teacher(config, program, task.num_classes)
    return LiveSignals(teacher, training_views(config, task), config.signals, pick_device())


def restore_teacher(config: TrialConfig, program: Program, num_classes: int) -> Teacher:
    """The teacher itself, from the weights in its program."""
    foundation = resident_foundation(config.foundation)
    teacher = build_teacher(config, foundation, num_classes)
    teacher.load_state_dict(program.weights)
    return teacher.eval().to(pick_device())


def save_program(program: Program, folder: Path) -> None:
    """Write a program's files into an existing folder."""
    save_file(program.weights, folder / WEIGHTS)
    if program.signals is not None:
        np.save(folder / EMBEDDING, program.signals.embedding)
        np.save(folder / LOGITS, program.signals.logits)
    report = {
        "history": program.history,
        "val_top1": program.val_top1,
        "seconds": program.seconds,
        "notes": program.notes,
    }
    (folder / REPORT).write_text(json.dumps(report))


def load_program(folder: Path) -> Program:
    """Open a program; its signals stay on disk, mapped into memory."""
    signals = None
    if (folder / LOGITS).exists():
        signals = StoredSignals(np.load(folder / EMBEDDING, mmap_mode="r"), np.load(folder / LOGITS, mmap_mode="r"))
    return Program(load_file(folder / WEIGHTS), signals, **json.loads((folder / REPORT).read_text()))
