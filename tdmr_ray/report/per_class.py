"""Recall and precision of the recommended model for each class, from its confusion matrices on test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tdmr_ray.records import TrialRecord
from tdmr_ray.report.folder import Comparison
from tdmr_ray.report.formatting import MISSING, percent


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class on test.

    Attributes:
        name: Class name.
        support: Test images of the class, summed over seeds.
        recall: Fraction of the class's images that are classified as it; None without images.
        precision: Fraction of the images classified as it that belong to it; None if there are none.
    """

    name: str
    support: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class PerClass:
    """Figures of the recommended model for every class.

    Attributes:
        phase: Phase of the trials: `refit` if the model was trained again with the labels of val.
        seeds: Number of trials, each with another seed.
        classes: In the order of the data set.
    """

    phase: Literal["confirm", "refit"]
    seeds: int
    classes: tuple[ClassFigures, ...]


def per_class(comparison: Comparison) -> PerClass | None:
    """Return the figures of the recommended model; None if nothing is recommended or no confusion matrix was kept."""
    model = comparison.board.recommended
    return None if model is None else per_class_of(model.figures.recipe, comparison)


def per_class_of(recipe: str, comparison: Comparison) -> PerClass | None:
    """Sum the confusion matrices of a recipe over seeds; None if none was kept.

    The trials are those of the refit, if there is one, and otherwise those of the confirmation.
    """
    own = [each for each in comparison.records if each.recipe == recipe and each.state == "complete"]
    for phase in ("refit", "confirm"):
        matrices = [found for each in own if each.phase == phase and (found := _confusion(each)) is not None]
        if matrices:
            matrix = np.sum(matrices, axis=0)
            return PerClass(phase, len(matrices), _figures(matrix, _class_names(comparison, len(matrix))))
    return None


def class_table(found: PerClass) -> pd.DataFrame:
    """Format the figures, one line for each class."""
    return pd.DataFrame(
        {
            "class": [each.name or MISSING for each in found.classes],
            "recall %": [percent(each.recall) for each in found.classes],
            "precision %": [percent(each.precision) for each in found.classes],
            "support": [str(each.support) for each in found.classes],
        }
    )


def explain(found: PerClass) -> str:
    """Explain the table: whose figures they are, and what its columns mean."""
    when = "after the refit" if found.phase == "refit" else "without a refit"
    summed = f", summed over {found.seeds} seeds" if found.seeds > 1 else ""
    return (
        f"The recommended model on test {when}{summed}. Recall is the share of a class's images that are found, and "
        "precision the share of the images classified as it that belong to it. Support counts a class's test images"
        f"{', once for each seed' if found.seeds > 1 else ''}."
    )


def _confusion(record: TrialRecord) -> NDArray[np.int64] | None:
    """Return a trial's confusion matrix; None if it read no test image."""
    matrix = np.array(record.confusion or [], np.int64)
    return matrix if matrix.any() else None


def _figures(matrix: NDArray[np.int64], names: Sequence[str]) -> tuple[ClassFigures, ...]:
    hits, support, predicted = matrix.diagonal().tolist(), matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist()
    return tuple(
        ClassFigures(name, own, _share(right, own), _share(right, assigned))
        for name, right, own, assigned in zip(names, hits, support, predicted, strict=True)
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _class_names(comparison: Comparison, count: int) -> Sequence[str]:
    """Return the names of `count` classes, or their numbers where no search has kept their names."""
    shown = [each["class_names"] for each in comparison.visualizations.values()]
    summaries = [list(each.data_summary.classes) for each in comparison.searches if each.data_summary]
    numbers = [str(number) for number in range(count)]
    return next((names for names in [*shown, *summaries] if len(names) == count), numbers)
