"""The folder of a shipped model: weights, class names, preprocessing and the configuration that made it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tdmr_ray.data.reading import InputFormat
from tdmr_ray.models import WEIGHTS_FILE
from tdmr_ray.run_layout import MODEL_CONFIG
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.thresholds import UNCALIBRATED, Thresholds


def describe_model(
    folder: Path,
    config: TrialConfig,
    *,
    class_names: Sequence[str],
    image_px: int,
    input_format: InputFormat,
    metrics: Mapping[str, float],
    record: str = "",
    temperature: float = 1.0,
    thresholds: Thresholds = UNCALIBRATED,
) -> None:
    """Write the description beside a model's weights.

    Args:
        folder: An existing folder.
        config: The trial that made the model.
        class_names: C names.
        image_px: Side of the model's input.
        input_format: Format in which image files are read.
        metrics: Figures of the trial.
        record: Id of its record, if a search made it.
        temperature: Temperature of the softmax.
        thresholds: Thresholds on the probabilities.
    """
    description = {
        "record": record,
        "target": config.target.name,
        "class_names": list(class_names),
        "image_px": image_px,
        "input_format": asdict(input_format),
        "preprocessing": preprocessing(input_format, image_px),
        "temperature": temperature,
        "thresholds": thresholds.as_json(),
        "metrics": dict(metrics),
        "config": config.model_dump(mode="json"),
    }
    (folder / MODEL_CONFIG).write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")


def weights_digest(folder: Path) -> str | None:
    """Return the SHA-256 of a model's weights; None if the folder holds none."""
    path = folder / WEIGHTS_FILE
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def preprocessing(form: InputFormat, image_px: int) -> str:
    """Describe in words how an image file becomes the model's input."""
    steps = [f"upright RGB, {form.resize} to {form.size_px} px with {form.interpolation} interpolation, divide by 255"]
    if image_px != form.size_px:
        steps.append(f"the network scales to {image_px} px")
    return "; ".join([*steps, "mean and std are part of the network"])
