"""Files of a glyph foundation: weights and card."""

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from tdmr_ray.models.embedded.architectures import Kind, build_glyph_network
from tdmr_ray.models.embedded.letters import HELD_OUT_FONTS, TRAIN_FONTS
from tdmr_ray.models.embedded.probe import probe_figures

_PACKAGES = ("torch", "timm", "matplotlib", "pillow", "scikit-learn")


@dataclass(frozen=True)
class Training:
    """Settings and result of a pretraining; accuracies in 0..1."""

    kind: Kind
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    seconds: float
    teacher: str | None
    held_out_fonts_accuracy: float
    train_fonts_accuracy: float


def write_weights(model: nn.Module, path: Path) -> Path:
    """Write the weights as float16 safetensors."""
    half = {key: _half(value) for key, value in model.state_dict().items()}
    save_file(half, path)
    return path


def write_card(model: nn.Module, weights: Path, training: Training, characters: Sequence[str]) -> Path:
    """Write a JSON card beside the weights; its figures are measured with the stored, rounded weights."""
    stored = build_glyph_network(training.kind, len(characters))
    stored.load_state_dict({key: _half(value) for key, value in model.state_dict().items()})
    figures = probe_figures(stored, lambda: build_glyph_network(training.kind, len(characters)))
    card = {
        "name": weights.stem,
        "data": "Latin, Greek and Cyrillic letters without digits, in matplotlib's fonts, randomly distorted",
        "classes": list(characters),
        "train_fonts": TRAIN_FONTS,
        "held_out_fonts": HELD_OUT_FONTS,
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "training": asdict(training),
        "source_accuracy_note": "distorted glyphs, four views of each with a seed that training does not use",
        "linear_probe": figures,
        "linear_probe_note": "test accuracy on scikit-learn's digits, mean of three subsets; "
        "calibrated: random weights with unit batch-norm gain and the batch statistics of the digits",
        "command": f"python -m tdmr_ray.models.embedded.pretrain --kind {training.kind} "
        f"--steps {training.steps} --seed {training.seed}",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    path = weights.with_suffix(".json")
    path.write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


def _half(value: torch.Tensor) -> torch.Tensor:
    return (value.half() if value.is_floating_point() else value).contiguous()
