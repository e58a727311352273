"""The folder of a shipped model: weights, class names, preprocessing and the configuration that made it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tdmr_ray.checksums import DamagedJson, checked_object, file_digest, write_checked
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.errors import InputError
from tdmr_ray.models import WEIGHTS_FILE
from tdmr_ray.run_layout import MODEL_CONFIG
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.thresholds import UNCALIBRATED, Thresholds

CURE = "copy the folder again from the search's results"


class ModelDescription(BaseModel):
    """What `config.json` says about a model.

    Attributes:
        record: Id of its trial's record; '' if no search made it.
        target: Name of the network.
        class_names: C names.
        image_px: Side of its input.
        input_format: Format in which image files are read.
        preprocessing: The same in words.
        temperature: Temperature of the softmax.
        thresholds: Thresholds on the probabilities.
        metrics: Figures of the trial.
        weights_sha256: SHA-256 of the file with the weights; '' accepts any.
        config: The trial.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    record: str = ""
    target: str
    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    image_px: int = Field(gt=0)
    input_format: InputFormat
    preprocessing: str = ""
    temperature: float = Field(default=1.0, gt=0)
    thresholds: Thresholds = UNCALIBRATED
    metrics: dict[str, float]
    weights_sha256: str = ""
    config: TrialConfig


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
        folder: A folder with the weights.
        config: The trial that made the model.
        class_names: C names.
        image_px: Side of the model's input.
        input_format: Format in which image files are read.
        metrics: Figures of the trial.
        record: Id of its record, if a search made it.
        temperature: Temperature of the softmax.
        thresholds: Thresholds on the probabilities.
    """
    description = ModelDescription(
        record=record,
        target=config.target.name,
        class_names=tuple(class_names),
        image_px=image_px,
        input_format=input_format,
        preprocessing=preprocessing(input_format, image_px),
        temperature=temperature,
        thresholds=thresholds,
        metrics=dict(metrics),
        weights_sha256=file_digest(folder / WEIGHTS_FILE),
        config=config,
    )
    write_checked(folder / MODEL_CONFIG, description.model_dump(mode="json"))


def read_description(folder: Path) -> ModelDescription:
    """Read the description of a model, and check that its weights are those that it describes.

    Raises:
        InputError: If there is no model, one of an older version, or a damaged or foreign file.
    """
    try:
        tree = checked_object((folder / MODEL_CONFIG).read_bytes())
        digest = file_digest(folder / WEIGHTS_FILE)
    except OSError as error:
        raise InputError(str(folder), "holds no model; give a folder under best/ of a search's results") from error
    except DamagedJson as error:
        raise InputError(str(folder), f"{MODEL_CONFIG} is damaged: {error}; {CURE}") from error
    if "class_names" in tree and "input_format" not in tree:
        raise InputError(str(folder), "holds a model of an older version of tdmr_ray; search again")
    try:
        description = ModelDescription.model_validate(tree)
    except ValidationError as error:
        details = error.errors()[0]
        rule = f"{'.'.join(map(str, details['loc']))}: {details['msg']}"
        raise InputError(str(folder), f"{MODEL_CONFIG} describes no model: {rule}; {CURE}") from error
    if description.weights_sha256 not in ("", digest):
        raise InputError(str(folder), f"{WEIGHTS_FILE} is not the file that {MODEL_CONFIG} describes; {CURE}")
    return description


def weights_digest(folder: Path) -> str | None:
    """Return the SHA-256 of a model's weights; None if the folder holds none."""
    path = folder / WEIGHTS_FILE
    return file_digest(path) if path.is_file() else None


def preprocessing(form: InputFormat, image_px: int) -> str:
    """Describe in words how an image file becomes the model's input."""
    steps = [f"upright RGB, {form.resize} to {form.size_px} px with {form.interpolation} interpolation, divide by 255"]
    if image_px != form.size_px:
        steps.append(f"the network scales to {image_px} px")
    return "; ".join([*steps, "mean and std are part of the network"])
