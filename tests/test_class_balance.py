"""The warning that accuracy says little about small classes."""

import numpy as np
import pytest

from tdmr_ray import Task
from tdmr_ray.api.class_balance import warn_of_imbalance


def task_of(sizes: dict[str, int], shots: int | None = None) -> Task:
    labels = np.repeat(list(sizes), list(sizes.values()))
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), dtype=np.uint8)
    return Task.from_arrays(images, labels, shots=shots)


@pytest.mark.parametrize(
    ("largest", "objective", "warns"),
    [(30, "val/top1", False), (31, "val/top1", True), (31, "val/balanced_accuracy", False), (31, "val/auroc", False)],
)
def test_accuracy_on_classes_that_differ_more_than_threefold_draws_a_warning(
    largest: int, objective: str, warns: bool
) -> None:
    assert bool(warn_of_imbalance(task_of({"good": largest, "crack": 10}), objective)) == warns


def test_the_warning_names_classes_numbers_and_remedy() -> None:
    (text,) = warn_of_imbalance(task_of({"dent": 20, "good": 95, "crack": 5}), "val/top1")
    for part in ("'good' has 95", "'crack' has 5", "--set objective.metric=val/balanced_accuracy"):
        assert part in text


def test_equal_shots_do_not_hide_unequal_classes() -> None:
    assert warn_of_imbalance(task_of({"good": 95, "crack": 10}, shots=2), "val/top1")
