"""Calibration on val: a temperature that makes probabilities credible, and thresholds on them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tdmr_ray.data.task import Images
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.method.discriminant import likeliest_temperature
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.reliability import Reliability, reliability_of
from tdmr_ray.training.thresholds import Thresholds, thresholds_of


@dataclass(frozen=True)
class Calibration:
    """What was fitted to val, and what it does there.

    Attributes:
        temperature: Temperature that makes the labels likeliest.
        thresholds: Thresholds on the probabilities with that temperature.
        before: Reliability without the temperature.
        after: Reliability with it.
    """

    temperature: float
    thresholds: Thresholds
    before: Reliability
    after: Reliability

    def apply(self, model: SmallModel) -> SmallModel:
        """Return a model with this temperature and these thresholds."""
        return replace(model, temperature=self.temperature, thresholds=self.thresholds)


def calibrate(model: SmallModel, images: Images) -> Calibration:
    """Fit a temperature, and then thresholds, to images that a model was not trained on."""
    logits = _logits(model, images)
    temperature = likeliest_temperature(logits, images.labels)
    probabilities = (logits / temperature).softmax(dim=1)
    return Calibration(
        temperature,
        thresholds_of(probabilities.numpy(), images.labels.numpy()),
        reliability_of(logits.softmax(dim=1), images.labels),
        reliability_of(probabilities, images.labels),
    )


def measure_reliability(model: SmallModel, images: Images) -> Reliability:
    """Measure the probabilities of a model, with its temperature, on images."""
    return reliability_of((_logits(model, images) / model.temperature).softmax(dim=1), images.labels)


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error of probabilities [N, C]."""
    return reliability_of(probabilities, labels).error


def _logits(model: SmallModel, images: Images) -> Tensor:
    with torch.inference_mode():
        return evaluate(lambda batch: model.target(batch).logits, images, device=torch.device("cpu")).logits
