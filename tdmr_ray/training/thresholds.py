"""Thresholds on calibrated probabilities that val chose. Needs numpy only, so that a device can read them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.errors import InputError

KEPT = 0.95
"""Share of correctly classified images that `min_probability` keeps."""
MAX_STORED = 256
"""Largest number of probabilities that are stored; more than that are thinned evenly."""
EPSILON = 1e-9
"""Slack for shares such as 0.95, which binary fractions miss."""


@dataclass(frozen=True)
class Thresholds:
    """What val says about the probabilities of a model.

    Attributes:
        num_images: Images of val, n; 0 if the model has not been calibrated.
        num_right: Those of them that are classified correctly.
        min_probability: Largest probability that the class of at least `KEPT` of further correctly classified images
            reaches; None if val has too few of them.
        label_probabilities: Probabilities of the correct class on val, in ascending order; see `stored_ranks`.
    """

    num_images: int = 0
    num_right: int = 0
    min_probability: float | None = None
    label_probabilities: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Thresholds":
        """Return the thresholds that `as_json` wrote."""
        return cls(**{**found, "label_probabilities": tuple(found["label_probabilities"])})

    def as_json(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return {**asdict(self), "label_probabilities": list(self.label_probabilities)}

    def none_of_these(self) -> float:
        """Return the probability of the best class below which an image is "none of these".

        Raises:
            InputError: If val has no such threshold.
        """
        if self.min_probability is None:
            needed = num_needed(KEPT)
            rule = f"'none of these' needs {needed} correctly classified val images, {self._has(self.num_right)}"
            raise InputError("predict", f"{rule}; give a threshold of your own as --min-probability")
        return self.min_probability

    def for_coverage(self, coverage: float) -> float:
        """Return the least probability of the classes in a prediction set.

        The set holds the correct class for at least a share `coverage` of further images that are drawn as val was, on
        average over draws of val. This is split conformal prediction with the score 1 - p(correct class).

        Args:
            coverage: Wanted share, between 0 and 1.

        Raises:
            InputError: If val has too few images, or the coverage is out of range.

        Source: Sadinle et al. 2019, arXiv 1609.00451; correction for n + 1 in Angelopoulos & Bates 2021,
        arXiv 2107.07511.
        """
        if not 0 < coverage < 1:
            raise InputError("predict", f"coverage must be between 0 and 1, got {coverage:g}; give for example 0.95")
        rank = _rank(self.num_images, coverage)
        if rank < 1:
            rule = f"coverage {coverage:g} needs {num_needed(coverage)} val images, {self._has(self.num_images)}"
            raise InputError("predict", f"{rule}; give a smaller coverage, or search with more val images")
        ranks = stored_ranks(self.num_images)
        return self.label_probabilities[int(np.searchsorted(ranks, rank, side="right")) - 1]

    def _has(self, count: int) -> str:
        return f"and the model has {count}" if self.num_images else "and the model was never calibrated on val"


UNCALIBRATED = Thresholds()
"""The thresholds of a model that no val images were kept for."""


def thresholds_of(probabilities: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> Thresholds:
    """Choose thresholds on val.

    Args:
        probabilities: Calibrated probabilities of images that the model was not trained on, [n, C].
        labels: Their classes, [n].
    """
    right = probabilities.max(axis=1)[probabilities.argmax(axis=1) == labels]
    own = np.sort(probabilities[np.arange(len(labels)), labels])
    stored = tuple(map(_down, own[stored_ranks(len(own)) - 1].tolist()))
    return Thresholds(len(labels), len(right), reached_by(right, KEPT), stored)


def reached_by(values: NDArray[np.floating[Any]], share: float) -> float | None:
    """Return the largest of n values that a further one reaches with probability `share` or more.

    All n + 1 are exchangeable, so the value of rank floor((n + 1) (1 - share)) is the one; None if that is 0.
    """
    rank = _rank(len(values), share)
    return _down(float(np.sort(values)[rank - 1])) if rank else None


def stored_ranks(count: int) -> NDArray[np.int64]:
    """Return which of `count` sorted values are stored: ascending ranks from 1 with the first and the last."""
    if count <= MAX_STORED:
        return np.arange(1, count + 1)
    return np.floor(np.linspace(1, count, MAX_STORED)).astype(np.int64)


def num_needed(share: float) -> int:
    """Return the least n for which a threshold of this share exists: the least n with (n + 1) (1 - share) >= 1."""
    return ceil(share / (1 - share) - EPSILON)


def names_of_set(row: NDArray[np.floating[Any]], class_names: Sequence[str], least: float) -> tuple[str, ...]:
    """Return the classes with at least a probability, the most probable first; that one always belongs to the set."""
    order = np.argsort(-row, kind="stable")
    return tuple(class_names[number] for place, number in enumerate(order) if place == 0 or row[number] >= least)


def _rank(count: int, share: float) -> int:
    return floor((count + 1) * (1 - share) + EPSILON)


def _down(value: float) -> float:
    """Round to six digits, never up: an equal probability must reach the threshold."""
    return floor(value * 1e6) / 1e6
