"""Linear discriminant analysis with shrinkage, in closed form and fast for few images in many dimensions."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

SHRINKAGE = 0.8
"""Share of the identity in the covariance, for few images."""
NEVER = -30.0
"""Logit of a class without an image, relative to the smallest bias of the others."""
NUM_FOLDS = 5
TEMPERATURES = torch.logspace(-2, 2, 81, dtype=torch.float64)


class LinearHead(NamedTuple):
    """logits = weight f + bias, with weight [C, d] and bias [C]."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Map features [N, d] to logits [N, C]."""
        return features @ self.weight.T + self.bias

    def spread(self, known: Tensor, num_classes: int) -> "LinearHead":
        """Return a head for more classes that never predicts the new ones; its own become the classes `known`, [C]."""
        weight = self.weight.new_zeros(num_classes, self.weight.shape[1])
        bias = self.bias.new_full((num_classes,), float(self.bias.min()) + NEVER)
        weight[known], bias[known] = self.weight, self.bias
        return LinearHead(weight, bias)

    def cooled(self, temperature: float) -> "LinearHead":
        """Return the head with all logits divided by a temperature."""
        return LinearHead(self.weight / temperature, self.bias / temperature)


HeadFit = Callable[[Tensor, Tensor], LinearHead]
"""Fits a head to features [N, d] and labels [N]."""


def fit_discriminant(
    features: Tensor, labels: Tensor, num_classes: int, *, shrinkage: float = SHRINKAGE, balanced: bool = False
) -> LinearHead:
    """Fit Gaussian classes with one common covariance; the logits are their log odds.

    The covariance within classes is mixed with the identity times its mean variance. With fewer images than dimensions,
    the system of the images is solved in place of that of the dimensions.

    Args:
        features: Standardised features, [N, d].
        labels: Classes, [N]; each of the C must have an image.
        num_classes: C.
        shrinkage: Share of the identity, above 0; at 1 the nearest class mean wins.
        balanced: Whether all classes are equally likely; otherwise their share of the labels counts.

    Source: Friedman 1989, "Regularized Discriminant Analysis".
    """
    x, counts = features.double(), torch.bincount(labels, minlength=num_classes).double()
    means = x.new_zeros(num_classes, x.shape[1]).index_add_(0, labels, x) / counts[:, None]
    within = x - means[labels]
    ridge = shrinkage * within.square().mean().clamp(min=1e-12)
    center = means.mean(dim=0)
    weight = _solve(within * ((1 - shrinkage) / len(x)) ** 0.5, float(ridge), means - center)
    bias = -(weight * (means + center)).sum(dim=1) / 2
    return LinearHead(weight, bias if balanced else bias + (counts / counts.sum()).log())


def _solve(rows: Tensor, ridge: float, targets: Tensor) -> Tensor:
    """Return W with W (rows' rows + ridge I) = targets, for rows [N, d] and targets [C, d]."""
    num_rows, dim = rows.shape
    if dim <= num_rows:
        matrix = rows.T @ rows
        matrix.diagonal().add_(ridge)
        found: Tensor = torch.linalg.solve(matrix, targets, left=False)
        return found
    matrix = rows @ rows.T
    matrix.diagonal().add_(ridge)
    shares: Tensor = torch.linalg.solve(matrix, targets @ rows.T, left=False)
    return (targets - shares @ rows) / ridge


def held_out_temperature(fit: HeadFit, features: Tensor, labels: Tensor) -> float:
    """Return the temperature at which a kind of head is most likely right about images that it has not seen.

    The images of a class go to five folds in turn. A class with a single image is fitted each time and never held out;
    the temperature is 1 if no class has more.

    Args:
        fit: Fits a head to some of the features and their labels.
        features: [N, d].
        labels: Classes, [N]; each of the C must have an image.
    """
    fold = _folds(labels)
    logits, kept = [], []
    for number in fold[fold >= 0].unique():
        out = fold == number
        logits.append(fit(features[~out], labels[~out]).logits(features[out].double()))
        kept.append(labels[out])
    return likeliest_temperature(torch.cat(logits), torch.cat(kept)) if logits else 1.0


def likeliest_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature between 0.01 and 100 at which logits [N, C] make labels [N] likeliest.

    Source: temperature scaling of Guo et al. 2017, arXiv 1706.04599.
    """
    losses = torch.stack([cross_entropy(logits.double() / temperature, labels) for temperature in TEMPERATURES])
    return float(TEMPERATURES[losses.argmin()])


def _folds(labels: Tensor) -> Tensor:
    """Return the fold of each image, [N]; -1 for the only image of a class."""
    fold = torch.full_like(labels, -1)
    for label in labels.unique():
        rows = (labels == label).nonzero().flatten()
        if len(rows) > 1:
            fold[rows] = torch.arange(len(rows)) % NUM_FOLDS
    return fold
