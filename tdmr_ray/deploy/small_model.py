"""A small model that is ready to use: opened from a folder under `best/`, or distilled in Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tdmr_ray.data.arrays import read_pixels
from tdmr_ray.data.dataset import scale_images
from tdmr_ray.data.reading import BadImage, InputFormat
from tdmr_ray.data.task import Task
from tdmr_ray.deploy.predicting import BATCH_SIZE, Prediction, Rules, predict_files, predict_pixels
from tdmr_ray.errors import InputError
from tdmr_ray.models import WEIGHTS_FILE, DamagedWeights, Target, load_target, load_weights, save_target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.model_folder import CURE, describe_model, read_description
from tdmr_ray.training.thresholds import UNCALIBRATED, Thresholds


@dataclass(frozen=True)
class SmallModel:
    """A target network with its class names, and how its images are read; a `Classifier`.

    Attributes:
        target: The network, in evaluation mode on the CPU.
        class_names: C names.
        image_px: Side of its input, to which it scales images.
        input_format: Format in which image files are read.
        config: The trial that made it.
        metrics: Figures of that trial, such as `test/top1`; without those on val if its images were trained on.
        temperature: Temperature of the softmax, fitted to val.
        thresholds: Thresholds on the probabilities, chosen on val.
    """

    target: Target
    class_names: tuple[str, ...]
    image_px: int
    input_format: InputFormat
    config: TrialConfig
    metrics: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    thresholds: Thresholds = UNCALIBRATED

    @property
    def val_top1(self) -> float | None:
        """Accuracy on val when it was made; None if the images of val were trained on, as in a refit."""
        return self.metrics.get("val/top1")

    def predict(
        self,
        images: Sequence[str | Path] | ArrayLike,
        *,
        min_probability: float = 0.0,
        none_of_these: bool = False,
        coverage: float | None = None,
    ) -> list[Prediction]:
        """Classify images.

        Args:
            images: Paths of image files, or an array: uint8, or floating point in 0..1, [N, H, W, 3] and the like.
            min_probability: Least probability of a class; with less, an image is "none of these".
            none_of_these: Whether the threshold that val chose applies too; see `Thresholds.min_probability`.
            coverage: Share of images whose `class_set` is to hold the correct class; None leaves it empty.

        Raises:
            InputError: With every file that is unreadable, if the array has another shape or type, or if val had too
                few images for what is wanted.
        """
        rules = Rules.choose(self.thresholds, min_probability, none_of_these=none_of_these, coverage=coverage)
        if isinstance(images, Sequence) and all(isinstance(each, str | Path) for each in images):
            return self._predict_files([Path(each) for each in images], rules)  # type: ignore[arg-type]
        pixels = torch.from_numpy(read_pixels("images", images).copy())  # type: ignore[arg-type]  # not a list of paths
        batches = [scale_images(part, self.input_format).numpy() for part in pixels.split(BATCH_SIZE)]
        return [each for batch in batches for each in predict_pixels(self, batch, rules)]

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map uint8 images [B, 3, H, W] to probabilities [B, C]."""
        found: NDArray[np.float32] = self.probabilities(torch.from_numpy(pixels).float().div(255.0)).numpy()
        return found

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] in 0..1 to probabilities [B, C]; other sizes than `image_px` are scaled."""
        result: Tensor = (self.target(images).logits / self.temperature).softmax(dim=1)
        return result

    def save(self, folder: str | Path) -> None:
        """Write the folder that `load_model`, `tdmr predict` and `tdmr export` open; it is made if missing."""
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        save_target(self.target, path)
        describe_model(
            path,
            self.config,
            class_names=self.class_names,
            image_px=self.image_px,
            input_format=self.input_format,
            metrics=self.metrics,
            temperature=self.temperature,
            thresholds=self.thresholds,
        )

    def _predict_files(self, paths: Sequence[Path], rules: Rules) -> list[Prediction]:
        predictions, problems = [], []
        for path, found in predict_files(self, paths, rules):
            if isinstance(found, BadImage):
                problems.append(f"{path} cannot be read as an image: {found}")
            else:
                predictions.append(found)
        if problems:
            raise InputError("predict", problems)
        return predictions


def load_model(folder: str | Path) -> SmallModel:
    """Open a folder under `best/`, or one that `SmallModel.save` wrote.

    Raises:
        InputError: If it holds no model, a damaged one, or one of an older version.
    """
    path = Path(folder)
    found = read_description(path)
    try:
        target = _filled(load_weights(path / WEIGHTS_FILE), found.config, len(found.class_names), found.image_px)
    except DamagedWeights as error:
        raise InputError(str(path), f"{error}; {CURE}") from error
    return SmallModel(
        target,
        found.class_names,
        found.image_px,
        found.input_format,
        found.config,
        found.metrics,
        found.temperature,
        found.thresholds,
    )


def model_of(weights: Path, config: TrialConfig, task: Task) -> SmallModel:
    """Return the model of a trial from the file with its weights.

    Args:
        weights: The file.
        config: The trial.
        task: Its images.

    Raises:
        DamagedWeights: If the file holds no weights of this trial.
    """
    image_px = task.target_px(config.target.input_px)
    target = _filled(load_weights(weights), config, task.num_classes, image_px)
    return SmallModel(target, task.class_names, image_px, task.input_format, config)


def _filled(weights: Mapping[str, Tensor], config: TrialConfig, num_classes: int, image_px: int) -> Target:
    target = load_target(
        config.target.name, num_classes=num_classes, image_px=image_px, weights=config.target.weights, empty=True
    )
    try:
        target.load_state_dict(weights)
    except RuntimeError as error:
        raise DamagedWeights(f"the weights are not those of a {config.target.name}") from error
    return target.eval()
