"""A small model that is ready to use: opened from a folder under `best/`, or distilled in Python."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import load_file
from torch import Tensor

from tdmr_ray.data.arrays import read_pixels
from tdmr_ray.data.reading import BadImage, InputFormat, read_image
from tdmr_ray.errors import InputError
from tdmr_ray.models import WEIGHTS_FILE, Target, load_target, save_target
from tdmr_ray.run_layout import MODEL_CONFIG
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.model_folder import describe_model

BATCH_SIZE = 64


@dataclass(frozen=True)
class Prediction:
    """Prediction for one image.

    Attributes:
        class_name: The most probable class.
        probability: Its probability.
        probabilities: Probabilities of all classes, [C].
    """

    class_name: str
    probability: float
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class SmallModel:
    """A target network with its class names and input size.

    Attributes:
        target: The network, in evaluation mode on the CPU.
        class_names: C names.
        image_px: Side of its input.
        config: The trial that made it.
        metrics: Figures of that trial, such as `val/top1`.
    """

    target: Target
    class_names: tuple[str, ...]
    image_px: int
    config: TrialConfig
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def val_top1(self) -> float:
        """Accuracy on val when it was made."""
        return self.metrics["val/top1"]

    def predict(self, images: Sequence[str | Path] | ArrayLike) -> list[Prediction]:
        """Classify images.

        Args:
            images: Paths of image files, or an array: uint8, or floating point in 0..1, [N, H, W, 3] and the like.

        Raises:
            InputError: If a file is unreadable or the array has another shape or type.
        """
        batches = self._batches(images)
        return [self._prediction(row) for batch in batches for row in self.probabilities(batch).numpy()]

    def read_image(self, path: Path) -> Tensor:
        """Read an image file as the model takes it: [1, 3, image_px, image_px] in 0..1.

        Raises:
            InputError: If it is unreadable.
        """
        try:
            pixels = read_image(path, InputFormat(self.image_px))
        except BadImage as bad:
            raise InputError(str(path), f"cannot be read as an image: {bad}") from bad
        return torch.from_numpy(pixels.copy()).unsqueeze(0).float().div(255.0)

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] in 0..1 to probabilities [B, C]; other sizes than `image_px` are scaled."""
        result: Tensor = self.target(images).logits.softmax(dim=1)
        return result

    def save(self, folder: str | Path) -> None:
        """Write the folder that `load_model`, `tdmr predict` and `tdmr export` open; it is made if missing."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        save_target(self.target, path)
        names, image_px = self.class_names, self.image_px
        describe_model(path, self.config, class_names=names, image_px=image_px, metrics=self.metrics)

    def _batches(self, images: Sequence[str | Path] | ArrayLike) -> list[Tensor]:
        if isinstance(images, Sequence) and all(isinstance(each, str | Path) for each in images):
            return [self.read_image(Path(each)) for each in images]  # type: ignore[arg-type]  # all are paths
        pixels = torch.from_numpy(read_pixels("images", images).copy())  # type: ignore[arg-type]  # not a list of paths
        return [part.float().div(255.0) for part in pixels.split(BATCH_SIZE)]

    def _prediction(self, row: NDArray[np.float32]) -> Prediction:
        best = int(row.argmax())
        return Prediction(self.class_names[best], float(row[best]), row)


def load_model(folder: str | Path) -> SmallModel:
    """Open a folder under `best/`, or one that `SmallModel.save` wrote.

    Raises:
        InputError: If it holds no model.
    """
    path = Path(folder)
    try:
        description = json.loads((path / MODEL_CONFIG).read_text(encoding="utf-8"))
        weights = load_file(path / WEIGHTS_FILE)
    except OSError as error:
        raise InputError(str(path), "holds no model; give a folder under best/ of a search's results") from error
    names, image_px = tuple(description["class_names"]), description["image_px"]
    config = TrialConfig.model_validate(description["config"])
    target = load_target(
        config.target.name, num_classes=len(names), image_px=image_px, weights=config.target.weights, empty=True
    )
    target.load_state_dict(weights)
    return SmallModel(target.eval(), names, image_px, config, description["metrics"])
