"""Linear heads on fixed features, fitted in closed form or to convergence, and the choice among them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from tdmr_ray.method.discriminant import LinearHead, fit_discriminant, held_out_temperature

INVERSE_PENALTIES = (1e-2, 1e-4, 1e-3, 1e-1, 1.0)
"""Values of C for logistic regression; the first stands where nothing can be chosen."""
MIN_IMAGES_FOR_LDA = 3
"""Images of the smallest class from which on discriminant analysis has a covariance, in cross-validation too."""
MAX_FOLDS = 5


@dataclass(frozen=True)
class Kind:
    """A way to fit a linear head.

    Attributes:
        inverse_penalty: C of logistic regression; None is linear discriminant analysis with shrinkage and a temperature
            from held-out images.
    """

    inverse_penalty: float | None

    def __str__(self) -> str:
        if self.inverse_penalty is None:
            return "linear discriminant analysis"
        return f"logistic regression with C = {self.inverse_penalty:g}"


def kinds_for(labels: Tensor) -> list[Kind]:
    """Return the ways to fit a head that the labels [N] allow."""
    regression = [Kind(value) for value in INVERSE_PENALTIES]
    return [*regression, Kind(None)] if _smallest_class(labels) >= MIN_IMAGES_FOR_LDA else regression


def fit_head(kind: Kind, features: Tensor, labels: Tensor, num_classes: int, *, balanced: bool = False) -> LinearHead:
    """Fit a head to standardised features; the standardisation becomes part of the head.

    Args:
        kind: The way to fit it.
        features: [N, d].
        labels: Classes, [N]; those without an image are never predicted.
        num_classes: C.
        balanced: Whether all classes weigh the same, whatever their number of images.
    """
    x = features.double().numpy()
    known, place = labels.unique(return_inverse=True)
    weight, bias = np.zeros((len(known), x.shape[1])), np.zeros(len(known))
    if len(known) > 1:
        scaler = StandardScaler().fit(x)
        coefficients, intercepts = _fit(kind, scaler.transform(x), place.numpy(), balanced=balanced)
        weight = coefficients / scaler.scale_
        bias = intercepts - weight @ scaler.mean_
    return LinearHead(torch.from_numpy(weight).float(), torch.from_numpy(bias).float()).spread(known, num_classes)


def _fit(
    kind: Kind, x: NDArray[np.float64], y: NDArray[np.int64], *, balanced: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights [k, d] and biases [k] of the k classes 0 to k - 1 in `y`."""
    if kind.inverse_penalty is None:
        return _discriminant(torch.from_numpy(x), torch.from_numpy(y), balanced)
    weights = "balanced" if balanced else None
    model = LogisticRegression(C=kind.inverse_penalty, class_weight=weights, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # val judges what it has found by then
        model.fit(x, y)
    if len(model.coef_) > 1:
        return model.coef_, model.intercept_
    half, offset = model.coef_[0] / 2, model.intercept_[0] / 2  # one row for two classes
    return np.stack([-half, half]), np.array([-offset, offset])


def _discriminant(x: Tensor, y: Tensor, balanced: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = int(y.max()) + 1
    head = fit_discriminant(x, y, count, balanced=balanced)
    temperature = held_out_temperature(x, y, count)
    return (head.weight / temperature).numpy(), (head.bias / temperature).numpy()


def choose_by_cross_validation(
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    score: Callable[[Tensor, Tensor], Sequence[float]],
    *,
    seed: int,
    balanced: bool = False,
) -> Kind:
    """Return the kind of head that is best on the parts of the images which it was not fitted to.

    Args:
        features: [N, d].
        labels: Classes, [N]. If one of them has a single image, nothing is chosen, and a moderate penalty is returned.
        num_classes: C.
        score: Function of logits [N, C] and labels [N]; larger is better, and the first number counts most.
        seed: Seed of the division.
        balanced: See `fit_head`.
    """
    kinds, folds = kinds_for(labels), min(MAX_FOLDS, _smallest_class(labels))
    if folds < 2:
        return kinds[0]
    division = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(features, labels))

    def held_out(kind: Kind) -> Tensor:
        logits = torch.empty(len(labels), num_classes)
        for own, rest in division:
            head = fit_head(kind, features[own], labels[own], num_classes, balanced=balanced)
            logits[rest] = head.logits(features[rest].float())
        return logits

    return max(kinds, key=lambda kind: tuple(score(held_out(kind), labels)))


def _smallest_class(labels: Tensor) -> int:
    """Return the number of images of the smallest class that has any."""
    return int(labels.unique(return_counts=True)[1].min())
