"""The folder of a shipped model: weights, class names, preprocessing and the configuration that made it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tdmr_ray.run_layout import MODEL_CONFIG
from tdmr_ray.training.config import TrialConfig

PREPROCESSING = "RGB, resize to image_px, divide by 255; mean and std are part of the network"


def describe_model(
    folder: Path,
    config: TrialConfig,
    *,
    class_names: Sequence[str],
    image_px: int,
    metrics: Mapping[str, float],
    record: str = "",
) -> None:
    """Write the description beside a model's weights.

    Args:
        folder: An existing folder.
        config: The trial that made the model.
        class_names: C names.
        image_px: Side of the model's input.
        metrics: Figures of the trial.
        record: Id of its record, if a search made it.
    """
    description = {
        "record": record,
        "target": config.target.name,
        "class_names": list(class_names),
        "image_px": image_px,
        "preprocessing": PREPROCESSING,
        "metrics": dict(metrics),
        "config": config.model_dump(mode="json"),
    }
    (folder / MODEL_CONFIG).write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")
