"""Metrics against values computed by hand, degenerate cases, and the direction of each."""

import math

import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.fit import fit
from tdmr_ray.training.metrics import METRICS, measure, named, preference, score
from tdmr_ray.training.workers import Metrics

ALWAYS = {"top1", "balanced_accuracy", "macro_f1", "log_loss"}
RANKING = {"auroc", "average_precision"}


def logits_of(*probabilities: list[float]) -> Tensor:
    """Logits whose softmax is these rows."""
    return torch.tensor(probabilities, dtype=torch.float64).log()


THREE = logits_of([0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4])
THREE_LABELS = torch.tensor([0, 0, 1, 2])
"""Class 0: one of two found; class 1: found, with one false alarm; class 2: found."""

BINARY = logits_of([0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8])
BINARY_LABELS = torch.tensor([0, 0, 1, 1])
"""Class 1's probabilities are 0.1 and 0.4 for the others, 0.3 and 0.8 for its own images: 3 of 4 pairs in order."""

BY_HAND: list[tuple[str, Tensor, Tensor, float]] = [
    ("top1", THREE, THREE_LABELS, 3 / 4),
    ("balanced_accuracy", THREE, THREE_LABELS, (1 / 2 + 1 + 1) / 3),
    ("macro_f1", THREE, THREE_LABELS, (2 / 3 + 2 / 3 + 1) / 3),
    ("auroc", THREE, THREE_LABELS, 1.0),
    ("log_loss", THREE, THREE_LABELS, -math.log(0.7 * 0.4 * 0.6 * 0.4) / 4),
    ("top1", BINARY, BINARY_LABELS, 3 / 4),
    ("auroc", BINARY, BINARY_LABELS, 3 / 4),
    ("average_precision", BINARY, BINARY_LABELS, (1 / 2 * (1 + 2 / 3) + 1 / 2 * (1 + 2 / 3)) / 2),
    ("top5", torch.arange(12.0).repeat(3, 1), torch.tensor([11, 7, 6]), 2 / 3),
]


@pytest.mark.parametrize(("name", "logits", "labels", "expected"), BY_HAND)
def test_metric_has_the_value_computed_by_hand(name: str, logits: Tensor, labels: Tensor, expected: float) -> None:
    assert measure(logits, labels, [name]) == {name: pytest.approx(expected)}


def test_metrics_of_random_predictions_agree_with_scikit_learn() -> None:
    logits, labels = torch.randn(200, 10), torch.arange(200) % 10
    found, probabilities = measure(logits, labels), logits.double().softmax(dim=1).numpy()
    assert found["log_loss"] == pytest.approx(log_loss(labels, probabilities))
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, probabilities, multi_class="ovr"))


DEGENERATE: list[tuple[str, Tensor, list[int], set[str], Metrics]] = [
    ("one class only", torch.zeros(3, 2), [1, 1, 1], ALWAYS, {"top1": 0.0, "macro_f1": 0.0}),
    ("one class only, all found", torch.eye(3)[[1, 1]], [1, 1], ALWAYS, {"balanced_accuracy": 1.0, "macro_f1": 1.0}),
    ("a class without images is predicted", torch.eye(3)[[2, 1]], [0, 1], ALWAYS | RANKING, {"macro_f1": 0.5}),
    ("all logits equal", torch.zeros(4, 4), [0, 1, 2, 3], ALWAYS | RANKING, {"auroc": 0.5, "top1": 0.25}),
    ("one image", torch.eye(2)[:1], [0], ALWAYS, {"top1": 1.0}),
    ("saturated and wrong", 1e4 * torch.eye(2), [1, 0], ALWAYS | RANKING, {"log_loss": -math.log(2**-52)}),
    ("not finite", torch.tensor([[math.nan, 1.0], [math.inf, 0.0]]), [0, 1], ALWAYS | RANKING, {"top1": 0.5}),
    ("not finite counts as undecided", torch.full((2, 2), math.nan), [0, 1], ALWAYS | RANKING, {"log_loss": 0.6931}),
    ("ten classes, two present", torch.zeros(2, 10), [3, 4], {*METRICS}, {"auroc": 0.5}),
    ("no images", torch.empty(0, 3), [], set(), {}),
]


@pytest.mark.parametrize(
    ("logits", "labels", "defined", "expected"),
    [pytest.param(*case, id=name) for name, *case in DEGENERATE],
)
def test_degenerate_predictions_give_finite_metrics_without_a_warning(
    logits: Tensor, labels: list[int], defined: set[str], expected: Metrics
) -> None:
    found = measure(logits, torch.tensor(labels, dtype=torch.long))
    assert set(found) == defined
    assert all(math.isfinite(value) for value in found.values())
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", METRICS)
def test_better_predictions_have_the_greater_score(name: str) -> None:
    labels = torch.arange(30) % 10
    good, bad = (torch.eye(10)[labels] * strength for strength in (3.0, -3.0))
    assert score(measure(good, labels), name) > score(measure(bad, labels), name)
    assert METRICS[name].name == name


def test_score_takes_the_name_with_the_prefix_of_a_split() -> None:
    metrics = named({"top1": 0.5, "log_loss": 0.7}, "val")
    assert metrics == {"val/top1": 0.5, "val/log_loss": 0.7}
    assert (score(metrics, "val/top1"), score(metrics, "val/log_loss")) == (0.5, -0.7)
    assert preference(metrics, "val/top1") == (0.5, -0.7)
    assert preference({"top1": 0.5, "log_loss": 0.7}, "log_loss") == (-0.7, -0.7)


def test_equal_scores_are_ordered_by_the_log_loss() -> None:
    found = [{"top1": 0.8, "log_loss": 0.9}, {"top1": 0.8, "log_loss": 0.6}, {"top1": 0.7, "log_loss": 0.1}]
    assert max(found, key=lambda metrics: preference(metrics, "top1")) == found[1]


def test_right_tells_which_images_of_each_class_are_right() -> None:
    evaluation = Evaluation(torch.eye(3)[[0, 1, 1, 0, 1]], torch.tensor([0, 1, 0, 0, 1]))
    assert evaluation.right == ["101", "11", ""]
    assert evaluation.confusion == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]


@pytest.mark.parametrize("objective", ["top1", "log_loss", "auroc"])
def test_last_epoch_and_test_have_all_metrics_and_the_others_what_chooses(
    objective: str, tiny_config: TrialConfig, tiny_task: Task
) -> None:
    config = tiny_config.replace(method="scratch", foundation__name="", objective=objective)
    rows: list[Metrics] = []
    outcome = fit(config, tiny_task, rows.append, read_test=True)
    every = ALWAYS | RANKING
    assert [{name for name in row if name.startswith("val/")} for row in rows] == [
        {f"val/{name}" for name in names} | {f"val/{name}_now" for name in (objective, "log_loss")}
        for names in ({objective, "top1", "log_loss"}, every)
    ]
    assert {f"test/{name}" for name in every} <= outcome.metrics.keys()


@pytest.mark.parametrize("objective", ["top1", "log_loss", "macro_f1"])
def test_kept_epoch_is_the_best_by_the_objective(objective: str, tiny_config: TrialConfig, tiny_task: Task) -> None:
    config = tiny_config.replace(method="scratch", foundation__name="", objective=objective, distill__epochs=4)
    rows: list[Metrics] = []
    outcome = fit(config, tiny_task, rows.append)
    now = [{name: row[f"val/{name}_now"] for name in (objective, "log_loss")} for row in rows]
    best = max(now, key=lambda metrics: preference(metrics, objective))
    assert {name: outcome.metrics[f"val/{name}"] for name in best} == pytest.approx(best)
