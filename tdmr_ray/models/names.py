"""Which model names exist; asked before anything heavy is loaded."""

from pathlib import Path

import timm
from timm.data.imagenet_info import ImageNetInfo
from timm.models import is_model_in_modules

from tdmr_ray.errors import near_match
from tdmr_ray.method.component import FoundationFacts
from tdmr_ray.models.embedded import EMBEDDED, IMAGE_SIZE_PX, load_card

RANDOM = "random"
"""In place of weights, asked for by name only, for trials of cost: such a foundation knows nothing."""
PRETRAINED = "pretrained"
"""Weights of a target: those that timm has for it."""
HUBS = ("hf-hub:", "local-dir:")
"""Of names that timm looks up elsewhere than in its own list."""


def check_foundation(name: str, weights: str = "") -> list[str]:
    """Problems with a foundation's name; empty when it is built in, or there may be weights for it."""
    if name in EMBEDDED or name.startswith(HUBS):
        return [] if not weights else [f"'{name}' has weights of its own; leave 'weights' out"]
    if not timm.is_model(name):
        options = [*EMBEDDED, *timm.list_models(pretrained=True)]
        return [f"must be a built-in or timm name, got '{name}'{near_match(name, options)}"]
    if weights not in ("", RANDOM) and not Path(weights).is_file():
        return [f"there is no file {weights}; give a .safetensors or .pth file, or 'random'"]
    if not weights and not timm.is_model_pretrained(name):
        return [f"timm has no weights for '{name}'; name a file: {{name: {name}, weights: FILE}}"]
    return []


def check_target(name: str, weights: str = "") -> list[str]:
    """Problems with a target's name and weights; empty when timm can build it."""
    if not timm.is_model(name):
        return [f"must be a timm name, got '{name}'{near_match(name, timm.list_models())}"]
    if weights == PRETRAINED and not timm.is_model_pretrained(name):
        return [f"timm has no weights for '{name}'; name a file: {{name: {name}, weights: FILE}}"]
    if weights not in ("", PRETRAINED) and not Path(weights).is_file():
        return [f"there is no file {weights}; give a .safetensors or .pth file, or '{PRETRAINED}'"]
    return []


def foundation_facts(name: str) -> FoundationFacts:
    """Read a known foundation's facts from its card or from timm's table."""
    if name in EMBEDDED:
        card = load_card(name)
        return FoundationFacts(name, IMAGE_SIZE_PX, len(card["classes"]), takes_tokens=EMBEDDED[name] != "cnn")
    config = timm.get_pretrained_cfg(name)
    assert config is not None, "the name was checked"
    takes_tokens = is_model_in_modules(name, ["vision_transformer"])
    return FoundationFacts(name, int(config.input_size[-1]), int(config.num_classes), takes_tokens)


def sized(name: str, image_px: int | None) -> str:
    """A network's name for tables: with the size of its images where one was asked for."""
    return f"{name}@{image_px}px" if image_px else name


def source_class_names(name: str, count: int) -> tuple[str, ...]:
    """What a foundation calls its source classes, of which it has so many; numbers where nobody says."""
    if name in EMBEDDED:
        return tuple(load_card(name)["classes"])
    known = ImageNetInfo()
    if count != known.num_classes():
        return tuple(f"class {index}" for index in range(count))
    return tuple(known.index_to_description(index) for index in range(count))
