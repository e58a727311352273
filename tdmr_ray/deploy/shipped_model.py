"""A shipped target: the folder `best/<pair>/` that a search leaves, opened again."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tdmr_ray.data.reading import BadImage, read_square
from tdmr_ray.errors import InputError
from tdmr_ray.models import WEIGHTS_FILE, Target, load_target
from tdmr_ray.run_layout import MODEL_CONFIG
from tdmr_ray.training.config import TrialConfig


@dataclass(frozen=True)
class ShippedModel:
    """A target with what is needed to use it.

    Attributes:
        target: In evaluation mode.
        class_names: C names.
        image_px: Side of its images.
        config: How it was made.
        val_top1: As the search measured it.
    """

    target: Target
    class_names: tuple[str, ...]
    image_px: int
    config: TrialConfig
    val_top1: float

    def read_image(self, path: Path) -> Tensor:
        """An image file as the target takes it: [1, 3, image_px, image_px] in 0..1.

        Raises:
            InputError: If it cannot be read.
        """
        try:
            pixels = read_square(path, self.image_px)
        except BadImage as bad:
            raise InputError(str(path), f"cannot be read as an image: {bad}") from bad
        return torch.from_numpy(pixels.copy()).unsqueeze(0).float().div(255.0)

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in 0..1 to [B, C]; images of another size than `image_px` are scaled."""
        result: Tensor = self.target(images).logits.softmax(dim=1)
        return result


def load_shipped_model(folder: Path) -> ShippedModel:
    """Open a folder under `best/`.

    Raises:
        InputError: If it holds no target.
    """
    try:
        description = json.loads((folder / MODEL_CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS_FILE)
    except OSError as error:
        raise InputError(str(folder), "holds no target; give a folder under best/ of a search's results") from error
    names, image_px = tuple(description["class_names"]), description["image_px"]
    config = TrialConfig.model_validate(description["config"])
    target = load_target(
        config.target.name, num_classes=len(names), image_px=image_px, weights=config.target.weights, empty=True
    )
    target.load_state_dict(weights)
    return ShippedModel(target.eval(), names, image_px, config, description["metrics"]["val/top1"])
