"""Makes timm build large networks with few channels and layers in processes with this folder in their PYTHONPATH.

Python imports a module of this name at start. `space_files.py` thereby runs foundations under their own names, through
timm's own loading code, in seconds. Only the driver of a search and Ray's workers are changed.
"""

import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

NARROW, SHALLOW = (32, 32, 64, 64), (1, 1, 1, 1)
TINY: dict[str, dict[str, Any]] = {
    "vision_transformer": {"embed_dim": 48, "depth": 1, "num_heads": 3},
    "convnext": {"dims": NARROW, "depths": SHALLOW},
    "swin_transformer": {"embed_dim": 24, "depths": SHALLOW, "num_heads": (1, 1, 2, 2)},
    "maxxvit": {"model_cfg": {"embed_dim": NARROW, "depths": SHALLOW, "stem_width": 16, "head_hidden_size": 64}},
}
"""Changed options of every network, by timm module."""


def make_tiny() -> None:
    """Patch timm in this process."""
    for family, changes in TINY.items():
        module: Any = import_module(f"timm.models.{family}")
        module.build_model_with_cfg = partial(_build, module.build_model_with_cfg, changes)


def _build(build: Any, changes: dict[str, Any], network: Any, variant: str, pretrained: bool, **options: Any) -> Any:
    if "model_cfg" in changes:
        changes = {"model_cfg": replace(options["model_cfg"], **changes["model_cfg"])}
    return build(network, variant, pretrained, **{**options, **changes})


if "tdmr_ray.search" in sys.orig_argv or any(word.endswith("default_worker.py") for word in sys.orig_argv):
    make_tiny()
