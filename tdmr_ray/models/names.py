"""Names of models, checked before any weights are loaded."""

from pathlib import Path

import timm
from timm.data.imagenet_info import ImageNetInfo
from timm.models import is_model_in_modules

from tdmr_ray.errors import near_match
from tdmr_ray.method.component import FoundationFacts
from tdmr_ray.models.embedded import EMBEDDED, IMAGE_SIZE_PX, load_card
from tdmr_ray.models.weight_file import check_file

RANDOM = "random"
"""Value of `weights` for a foundation with random weights, for measurements of cost."""
PRETRAINED = "pretrained"
"""Value of `weights` for timm's own pretrained weights."""
HUBS = ("hf-hub:", "local-dir:")
"""Prefixes of names that are not in timm's own list."""


def check_foundation(name: str, weights: str = "") -> list[str]:
    """Return the problems with a foundation's name and weights; a file is read, a hub is not asked."""
    if name in EMBEDDED or name.startswith(HUBS):
        return [] if not weights else [f"'{name}' has weights of its own; leave 'weights' out"]
    if not timm.is_model(name):
        options = [*EMBEDDED, *timm.list_models(pretrained=True)]
        return [f"must be a built-in or timm name, got '{name}'{near_match(name, options)}"]
    if weights not in ("", RANDOM) and not Path(weights).is_file():
        return [f"there is no file {weights}; give a .safetensors or .pth file, or 'random'"]
    if not weights and not timm.is_model_pretrained(name):
        return [f"timm has no weights for '{name}'; name a file: {{name: {name}, weights: FILE}}"]
    return check_file(name, Path(weights)) if weights not in ("", RANDOM) else []


def check_target(name: str, weights: str = "") -> list[str]:
    """Return the problems with a target's name and weights; a file is read, a hub is not asked."""
    if not timm.is_model(name):
        return [f"must be a timm name, got '{name}'{near_match(name, timm.list_models())}"]
    if weights == PRETRAINED and not timm.is_model_pretrained(name):
        return [f"timm has no weights for '{name}'; name a file: {{name: {name}, weights: FILE}}"]
    if weights not in ("", PRETRAINED) and not Path(weights).is_file():
        return [f"there is no file {weights}; give a .safetensors or .pth file, or '{PRETRAINED}'"]
    return check_file(name, Path(weights)) if weights not in ("", PRETRAINED) else []


def foundation_facts(name: str) -> FoundationFacts:
    """Return the facts of a known foundation, from its card or timm's registry."""
    if name in EMBEDDED:
        card = load_card(name)
        return FoundationFacts(name, IMAGE_SIZE_PX, len(card["classes"]), takes_tokens=EMBEDDED[name] != "cnn")
    config = timm.get_pretrained_cfg(name)
    assert config is not None, "the name was checked"
    takes_tokens = is_model_in_modules(name, ["vision_transformer"])
    return FoundationFacts(name, int(config.input_size[-1]), int(config.num_classes), takes_tokens)


def sized(name: str, image_px: int | None) -> str:
    """Return a network's name for tables, with the size of its images if one is set."""
    return f"{name}@{image_px}px" if image_px else name


def source_class_names(name: str, count: int) -> tuple[str, ...]:
    """Return the names of a foundation's source classes; numbered ones if they are unknown."""
    if name in EMBEDDED:
        return tuple(load_card(name)["classes"])
    known = ImageNetInfo()
    if count != known.num_classes():
        return tuple(f"class {index}" for index in range(count))
    return tuple(known.index_to_description(index) for index in range(count))
