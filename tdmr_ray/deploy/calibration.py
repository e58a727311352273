"""Calibration: a temperature on val makes the probabilities of a small model credible."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tdmr_ray.data.task import Images
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.method.discriminant import likeliest_temperature
from tdmr_ray.training.evaluate import evaluate

NUM_BINS = 15


@dataclass(frozen=True)
class Calibration:
    """A temperature and what it does on the images that it was fitted to.

    Attributes:
        temperature: Temperature that makes the labels likeliest.
        num_images: Images of val.
        error_before: Expected calibration error without it.
        error: Expected calibration error with it.
    """

    temperature: float
    num_images: int
    error_before: float
    error: float


def calibrate(model: SmallModel, images: Images) -> Calibration:
    """Fit a temperature to images that a model was not trained on."""
    with torch.inference_mode():
        logits = evaluate(lambda batch: model.target(batch).logits, images, device=torch.device("cpu")).logits
    temperature = likeliest_temperature(logits, images.labels)
    before = calibration_error(logits.softmax(dim=1), images.labels)
    after = calibration_error((logits / temperature).softmax(dim=1), images.labels)
    return Calibration(temperature, len(images), before, after)


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy, over 15 bins of confidence.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
    """
    confidence, predicted = probabilities.max(dim=1)
    right = (predicted == labels).double().numpy()
    bins = np.minimum((confidence.numpy() * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = np.bincount(bins, weights=confidence.double().numpy() - right, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(right))
