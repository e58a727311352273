"""Reprogramming: the foundation never moves, val decides, every mapping learns the easy task."""

import pytest
import torch
from helpers.metrics import without_times

from tdmr_ray.data.task import Task
from tdmr_ray.errors import NonFiniteLoss
from tdmr_ray.method.teacher import MAPPINGS
from tdmr_ray.models import Foundation, load_foundation
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.reprogram import fit_teacher

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def foundation() -> Foundation:
    return load_foundation("glyph_cnn")


@pytest.mark.parametrize("kind", MAPPINGS)
@pytest.mark.parametrize("size_px", [0, 2])
def test_keeps_the_best_epoch_and_leaves_the_foundation_alone(
    kind: str, size_px: int, foundation: Foundation, tiny_task: Task
) -> None:
    before = {name: value.clone() for name, value in foundation.state_dict().items()}
    config = TrialConfig().with_values({"mapping.kind": kind, "prompt.size_px": size_px, "reprogram.epochs": 2})
    fitted = fit_teacher(config, tiny_task, foundation, CPU)
    accuracies = [row["reprogram/val_top1"] for row in fitted.history]
    learns = size_px > 0 or kind in ("linear", "prototype")
    assert len(accuracies) == (3 if learns else 1)
    assert fitted.val_top1 == max(accuracies)
    assert all(torch.equal(value, before[name]) for name, value in foundation.state_dict().items())


def test_learns_the_easy_task(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"mapping.kind": "linear", "reprogram.epochs": 3, "views.contrast": 0})
    assert fit_teacher(config, tiny_task, foundation, CPU).val_top1 >= 0.9


def test_same_seed_same_teacher(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"prompt.size_px": 2, "reprogram.epochs": 1})
    first, second = (fit_teacher(config, tiny_task, foundation, CPU) for _ in range(2))
    assert [without_times(row) for row in first.history] == [without_times(row) for row in second.history]
    weights = second.teacher.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in first.teacher.state_dict().items())


def test_a_diverging_loss_says_where(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"mapping.lr": 1e38, "reprogram.epochs": 3, "mapping.kind": "linear"})
    with pytest.raises(NonFiniteLoss, match="reprogram epoch"):
        fit_teacher(config, tiny_task, foundation, CPU)


@pytest.mark.parametrize("size_px", [0, 2])
@pytest.mark.parametrize("kind", ["linear", "bayesian"])
def test_val_is_measured_as_the_kept_teacher_sees_it(
    kind: str, size_px: int, foundation: Foundation, tiny_task: Task
) -> None:
    """Without a prompt the foundation is asked about val once; the figure is the same."""
    config = TrialConfig().with_values({"mapping.kind": kind, "prompt.size_px": size_px, "reprogram.epochs": 2})
    fitted = fit_teacher(config, tiny_task, foundation, CPU)
    measured = evaluate(lambda images: fitted.teacher(images).logits, tiny_task.val, device=CPU)
    assert fitted.val_top1 == measured.top1 == max(row["reprogram/val_top1"] for row in fitted.history)
