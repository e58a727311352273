"""timm networks with weights of their own, out of a file, or random ones."""

from pathlib import Path
from typing import Any

import timm
from timm.models import load_state_dict


def create_network(name: str, *, image_px: int | None, file: str = "", pretrained: bool = False, **options: Any) -> Any:
    """A timm network; random weights follow torch's global seed.

    Args:
        name: That timm knows.
        image_px: Side of its images, if the network is built for one size; position embeddings are resized.
        file: Of weights (.safetensors, .pth) in place of timm's own.
        pretrained: Whether to load timm's own.
        options: For timm.

    Raises:
        OSError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError: If weights cannot be had or do not fit.
    """
    if file:
        options["pretrained_cfg_overlay"] = {"file": file, "num_classes": num_classes_in(Path(file), name)}
    if image_px is not None:
        try:
            return timm.create_model(name, pretrained=pretrained or bool(file), img_size=image_px, **options)
        except TypeError:  # it takes images of any size
            pass
    return timm.create_model(name, pretrained=pretrained or bool(file), **options)


def num_classes_in(path: Path, name: str) -> int:
    """Classes of the classifier in a file of weights for a network; 0 if it has none."""
    tensors = load_state_dict(str(path), weights_only=True)
    config = timm.get_pretrained_cfg(name)
    heads = config.classifier if config is not None else ()
    for head in (heads,) if isinstance(heads, str) else heads or ():
        if f"{head}.weight" in tensors:
            return int(tensors[f"{head}.weight"].shape[0])
    return 0


def reason_of(error: Exception) -> str:
    """Why weights could not be loaded, in a line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
