"""Three small foundations that need no download, pretrained on rendered letters; their cards have the details."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from tdmr_ray.data.distort import IMAGE_SIZE_PX
from tdmr_ray.models.embedded.architectures import Kind, build_glyph_network

EMBEDDED: dict[str, Kind] = {"glyph_vit": "vit", "glyph_cnn": "cnn", "glyph_hybrid": "hybrid"}
MEAN = (0.4, 0.4, 0.4)
STD = (0.3, 0.3, 0.3)

_FOLDER = Path(__file__).parent

__all__ = [
    "EMBEDDED",
    "IMAGE_SIZE_PX",
    "MEAN",
    "STD",
    "load_card",
    "load_embedded",
    "load_weights",
    "weights_path",
]


def load_embedded(name: str, *, pretrained: bool = True) -> nn.Module:
    """Load a built-in foundation in eval mode, float32, with a `pretrained_cfg` like timm's.

    The memory format is channels last, which made a step of 64 images a tenth shorter on a CPU.

    Args:
        name: One of `EMBEDDED`.
        pretrained: False gives random weights from torch's global generator.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in EMBEDDED:
        raise ValueError(f"name must be one of {sorted(EMBEDDED)}, but got {name!r}")
    card = load_card(name)
    model = build_glyph_network(EMBEDDED[name], num_classes=len(card["classes"]))
    model.pretrained_cfg = _pretrained_cfg(name, card)  # type: ignore[assignment]
    if pretrained:
        load_weights(model, weights_path(name))
    return model.to(memory_format=torch.channels_last).eval()


def load_weights(model: nn.Module, path: Path) -> None:
    """Copy fp16 weights from a safetensors file into a float32 network."""
    model.load_state_dict(load_file(path))


def load_card(name: str) -> dict[str, Any]:
    """Load the card of a foundation: data, classes, accuracy, command, checksum."""
    card: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return card


def weights_path(name: str) -> Path:
    """Return the path of a foundation's float16 safetensors file."""
    return _FOLDER / f"{name}.safetensors"


def _pretrained_cfg(name: str, card: dict[str, Any]) -> dict[str, Any]:
    return {
        "architecture": name,
        "input_size": (3, IMAGE_SIZE_PX, IMAGE_SIZE_PX),
        "fixed_input_size": True,
        "mean": MEAN,
        "std": STD,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "num_classes": len(card["classes"]),
        "label_names": tuple(card["classes"]),
        "license": "apache-2.0",
    }
