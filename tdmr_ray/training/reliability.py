"""Reliability of probabilities: confidence against accuracy, and the expected calibration error."""

import logging
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from tdmr_ray.checksums import DamagedJson, checked_object
from tdmr_ray.run_layout import CALIBRATION

NUM_BINS = 15

log = logging.getLogger(__name__)


class Bin(BaseModel):
    """Images of similar confidence.

    Attributes:
        count: Number of images.
        confidence: Their mean largest probability.
        accuracy: Share of them that are classified correctly.
    """

    model_config = ConfigDict(frozen=True)

    count: int
    confidence: float
    accuracy: float


class Reliability(BaseModel):
    """Confidence against accuracy.

    Attributes:
        bins: Those of 15 equal ranges of confidence that hold images.
    """

    model_config = ConfigDict(frozen=True)

    bins: tuple[Bin, ...]

    @property
    def num_images(self) -> int:
        """Number of images."""
        return sum(each.count for each in self.bins)

    @property
    def error(self) -> float:
        """Expected calibration error: the mean gap between confidence and accuracy.

        Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
        """
        return sum(each.count * abs(each.confidence - each.accuracy) for each in self.bins) / self.num_images


class ModelReliability(BaseModel):
    """Reliability of a shipped model, in its folder's `calibration.json`.

    Attributes:
        title: Name of the model for people.
        temperature: Its temperature.
        val_before: On val without the temperature. After a refit, val figures are those of the trial before it.
        val: On val with the temperature, which was fitted there.
        test: On test with the temperature; None if there is no test split, or the model was trained on it.
    """

    model_config = ConfigDict(frozen=True)

    title: str
    temperature: float
    val_before: Reliability
    val: Reliability
    test: Reliability | None = None


def reliability_of(probabilities: Tensor, labels: Tensor) -> Reliability:
    """Sort images into bins of confidence.

    Args:
        probabilities: [N, C].
        labels: Classes, [N].
    """
    largest, predicted = probabilities.max(dim=1)
    confidence, right = largest.double().numpy(), (predicted == labels).numpy()
    place = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    return Reliability(
        bins=tuple(
            Bin(count=int(own.sum()), confidence=float(confidence[own].mean()), accuracy=float(right[own].mean()))
            for own in (place == number for number in np.unique(place))
        )
    )


def read_reliability(best: Path) -> list[ModelReliability]:
    """Return what is known of the models in `best/`: of the recommended one first, then of each pair's own.

    Damaged files are left out, with a warning.
    """
    found = []
    for path in (best / CALIBRATION, *sorted(best.glob(f"*/{CALIBRATION}"))):
        try:
            if path.exists():
                found.append(ModelReliability.model_validate(checked_object(path.read_bytes())))
        except (DamagedJson, ValidationError):
            log.warning("%s is damaged; it is left out", path)
    return found
