"""Reprogramming leaves the foundation alone, keeps the epoch that is best on val, and learns the easy task."""

from dataclasses import replace

import pytest
import torch
from helpers.metrics import without_times
from torch import Tensor

from tdmr_ray.data.task import Images, Task
from tdmr_ray.errors import NonFiniteLoss
from tdmr_ray.method.mappings import MAPPINGS, FrequencyMapping, LinearMapping, Mapping, PrototypeMapping
from tdmr_ray.method.mappings.frequency import frequency_mapping
from tdmr_ray.method.mappings.label_mapping import count_table
from tdmr_ray.models import Foundation, load_foundation
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.reprogram import build_teacher, fit_teacher

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def foundation() -> Foundation:
    return load_foundation("glyph_cnn")


@pytest.mark.parametrize("kind", MAPPINGS)
@pytest.mark.parametrize("size_px", [0, 2])
def test_best_epoch_is_kept_and_the_foundation_left_alone(
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


def test_easy_task_is_learned(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"mapping.kind": "linear", "reprogram.epochs": 3, "views.contrast": 0})
    assert fit_teacher(config, tiny_task, foundation, CPU).val_top1 >= 0.9


def test_a_blank_mapping_is_never_kept(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"mapping.kind": "linear", "reprogram.epochs": 1})
    untrained = build_teacher(config, foundation, tiny_task.num_classes).eval()
    answers = evaluate(lambda images: untrained(images).logits, tiny_task.val, device=CPU).logits.argmax(dim=1)
    lopsided = replace(tiny_task, val=Images(tiny_task.val.images, answers))
    fitted = fit_teacher(config, lopsided, foundation, CPU)
    first, *later = [row["reprogram/val_top1"] for row in fitted.history]
    assert first == 1.0
    assert fitted.val_top1 == pytest.approx(max(later))
    assert max(later) < 1.0


def test_same_seed_gives_the_same_teacher(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"prompt.size_px": 2, "reprogram.epochs": 1})
    first, second = (fit_teacher(config, tiny_task, foundation, CPU) for _ in range(2))
    assert [without_times(row) for row in first.history] == [without_times(row) for row in second.history]
    weights = second.teacher.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in first.teacher.state_dict().items())


def test_diverging_loss_names_its_epoch(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"mapping.lr": 1e38, "reprogram.epochs": 3, "mapping.kind": "linear"})
    with pytest.raises(NonFiniteLoss, match="reprogram epoch"):
        fit_teacher(config, tiny_task, foundation, CPU)


@pytest.mark.parametrize("size_px", [0, 2])
@pytest.mark.parametrize("kind", ["linear", "bayesian"])
def test_accuracy_is_that_of_the_kept_teacher(kind: str, size_px: int, foundation: Foundation, tiny_task: Task) -> None:
    """Without a prompt the foundation runs on val once; the figure is the same."""
    config = TrialConfig().with_values({"mapping.kind": kind, "prompt.size_px": size_px, "reprogram.epochs": 2})
    fitted = fit_teacher(config, tiny_task, foundation, CPU)
    measured = evaluate(lambda images: fitted.teacher(images).logits, tiny_task.val, device=CPU)
    assert fitted.val_top1 == measured.top1 == max(row["reprogram/val_top1"] for row in fitted.history)


def start_of(config: TrialConfig, foundation: Foundation, task: Task, *, prompted: bool) -> tuple[Tensor, Tensor]:
    """Return features and source logits of the labelled images with the prompt at its initial values, or without."""
    teacher, images = build_teacher(config, foundation, task.num_classes).eval(), task.labeled.images.float() / 255
    teacher.prompt.start_from(images)
    with torch.no_grad():
        return teacher.source(images, prompted=prompted)


@pytest.mark.parametrize("kind", ["linear", "prototype"])
@pytest.mark.parametrize("prompt", ["border", "overlay"])
def test_mappings_of_features_are_scaled_to_prompted_features(
    kind: str, prompt: str, foundation: Foundation, tiny_task: Task
) -> None:
    config = TrialConfig().with_values(
        {"prompt.kind": prompt, "prompt.size_px": 4, "mapping.kind": kind, "reprogram.epochs": 1}
    )
    mapping = fit_teacher(config, tiny_task, foundation, CPU).teacher.mapping
    assert isinstance(mapping, LinearMapping | PrototypeMapping)
    features, _ = start_of(config, foundation, tiny_task, prompted=True)
    plain, _ = start_of(config, foundation, tiny_task, prompted=False)
    std, mean = torch.std_mean(features, dim=0)
    torch.testing.assert_close(mapping.scaler.mean, mean)
    torch.testing.assert_close(mapping.scaler.std[std > 1e-6], std[std > 1e-6])
    if prompt == "border":  # an overlay starts as the identity
        assert not torch.allclose(mean, plain.mean(dim=0), rtol=0.01)


def test_frequency_mapping_counts_predictions_without_the_prompt(foundation: Foundation, tiny_task: Task) -> None:
    config = TrialConfig().with_values({"prompt.size_px": 8, "mapping.kind": "frequency", "reprogram.epochs": 2})
    mapping = fit_teacher(config, tiny_task, foundation, CPU).teacher.mapping
    assert isinstance(mapping, FrequencyMapping)
    labels = tiny_task.labeled.labels
    plain, prompted = (
        frequency_mapping(count_table(start_of(config, foundation, tiny_task, prompted=prompted)[1], labels, 3))
        for prompted in (False, True)
    )
    assert torch.equal(mapping.matrix, plain)
    assert not torch.equal(plain, prompted)


@pytest.mark.parametrize("kind", MAPPINGS)
def test_mapping_is_refitted_as_often_as_it_declares(
    kind: str, foundation: Foundation, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Tensor] = []
    refit = MAPPINGS[kind].refit

    def spy(self: Mapping, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        calls.append(labels)
        refit(self, features, source_logits, labels)

    monkeypatch.setattr(MAPPINGS[kind], "refit", spy)
    config = TrialConfig().with_values({"prompt.size_px": 2, "mapping.kind": kind, "reprogram.epochs": 2})
    fit_teacher(config, tiny_task, foundation, CPU)
    refits = MAPPINGS[kind].refits
    assert len(calls) == (0 if refits is None else 2 if refits.each_epoch else 1)
    assert all(torch.equal(labels, tiny_task.labeled.labels) for labels in calls)


def test_parts_that_do_not_fit_are_refused_together(foundation: Foundation) -> None:
    config = TrialConfig().with_values({"prompt.size_px": 16, "mapping.kind": "random"})
    with pytest.raises(ValueError, match=r"size_px: must be less than half .*; kind: 'random' needs a source class"):
        build_teacher(config, foundation, num_classes=10_000)
