"""Linear heads on fixed features, fitted in closed form or to convergence, and the choice among them."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from tdmr_ray.method.discriminant import (
    SHRINKAGE,
    LinearHead,
    fit_discriminant,
    held_out_temperature,
    likeliest_temperature,
)

INVERSE_PENALTIES = (1e-2, 1e-4, 1e-3, 1e-1, 1.0)
"""Values of C for logistic regression; the first stands where nothing can be chosen."""
MIN_IMAGES_FOR_LDA = 3
"""Images of the smallest class from which on discriminant analysis has a covariance, in cross-validation too."""
MAX_FOLDS = 5


@dataclass(frozen=True)
class Kind:
    """A way to fit a linear head.

    Attributes:
        inverse_penalty: C of logistic regression; None is linear discriminant analysis with shrinkage.
        shrinkage: Share of the identity in the covariance of linear discriminant analysis.
    """

    inverse_penalty: float | None
    shrinkage: float = SHRINKAGE

    def __str__(self) -> str:
        if self.inverse_penalty is None:
            return "linear discriminant analysis"
        return f"logistic regression with C = {self.inverse_penalty:g}"


def kinds_for(labels: Tensor) -> list[Kind]:
    """Return the ways to fit a head that the labels [N] allow."""
    regression = [Kind(value) for value in INVERSE_PENALTIES]
    return [*regression, Kind(None)] if smallest_class(labels) >= MIN_IMAGES_FOR_LDA else regression


def fit_head(kind: Kind, features: Tensor, labels: Tensor, num_classes: int, *, balanced: bool = False) -> LinearHead:
    """Fit a head to standardised features; the standardisation becomes part of the head.

    A temperature from held-out images makes its probabilities credible: a strong penalty alone is underconfident, and
    discriminant analysis of few images overconfident.

    Args:
        kind: The way to fit it.
        features: [N, d].
        labels: Classes, [N]; those without an image are never predicted.
        num_classes: C.
        balanced: Whether all classes weigh the same, whatever their number of images.
    """
    known, place = labels.unique(return_inverse=True)
    fit = partial(_fit, kind, num_classes=len(known), balanced=balanced)
    x = features.double()
    head = fit(x, place)
    if len(known) > 1:
        head = head.cooled(held_out_temperature(fit, x, place))
    return LinearHead(head.weight.float(), head.bias.float()).spread(known, num_classes)


def _fit(kind: Kind, x: Tensor, y: Tensor, num_classes: int, *, balanced: bool) -> LinearHead:
    """Fit a head to features [N, d] and classes [N], each of which has an image; the temperature stays as it is.

    No standard deviation counts as below the median. A feature that hardly varies over the labelled images would
    otherwise get a weight that other images, other views and batch statistics blow up.
    """
    if num_classes == 1:
        return LinearHead(x.new_zeros(1, x.shape[1]), x.new_zeros(1))
    std, mean = torch.std_mean(x, dim=0, correction=0)
    std = std.clamp(min=float(std.median()))
    std = torch.where(std > 0, std, torch.ones_like(std))
    scaled = (x - mean) / std
    if kind.inverse_penalty is None:
        head = fit_discriminant(scaled, y, num_classes, shrinkage=kind.shrinkage, balanced=balanced)
    else:
        head = _logistic_regression(kind.inverse_penalty, scaled, y, balanced=balanced)
    weight = head.weight / std
    return LinearHead(weight, head.bias - weight @ mean)


def _logistic_regression(inverse_penalty: float, x: Tensor, y: Tensor, *, balanced: bool) -> LinearHead:
    model = LogisticRegression(C=inverse_penalty, class_weight="balanced" if balanced else None, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # val judges what it has found by then
        model.fit(x.numpy(), y.numpy())
    weight, bias = torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)
    if len(weight) > 1:
        return LinearHead(weight, bias)
    return LinearHead(torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2)  # one row for two classes


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
    kinds = kinds_for(labels)
    if smallest_class(labels) < 2:
        return kinds[0]
    held_out = partial(
        held_out_logits, features=features, labels=labels, num_classes=num_classes, seed=seed, balanced=balanced
    )
    return max(kinds, key=lambda kind: tuple(score(held_out(kind), labels)))


def held_out_logits(
    kind: Kind, features: Tensor, labels: Tensor, num_classes: int, *, seed: int, balanced: bool = False
) -> Tensor:
    """Return logits [N, C] of heads that were not fitted to the image, at the temperature that suits them.

    Args:
        kind: The way to fit a head.
        features: [N, d].
        labels: Classes, [N], each with at least two images.
        num_classes: C.
        seed: Seed of the division into folds.
        balanced: See `fit_head`.
    """
    folds = StratifiedKFold(min(MAX_FOLDS, smallest_class(labels)), shuffle=True, random_state=seed)
    logits = torch.empty(len(labels), num_classes)
    for own, rest in folds.split(features, labels):
        known, place = labels[own].unique(return_inverse=True)
        head = _fit(kind, features[own].double(), place, len(known), balanced=balanced)
        logits[rest] = head.spread(known, num_classes).logits(features[rest].double()).float()
    return logits / likeliest_temperature(logits, labels)


def smallest_class(labels: Tensor) -> int:
    """Return the number of images of the smallest class that has any."""
    return int(labels.unique(return_counts=True)[1].min())
