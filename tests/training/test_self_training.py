"""Self-training keeps labels, adds confident predictions, and leaves out the others."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tdmr_ray.data.task import Images, Task
from tdmr_ray.method.mappings import MAPPINGS, Mapping
from tdmr_ray.models import load_foundation
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run, fit
from tdmr_ray.training.pseudo_labels import pseudo_labeled
from tdmr_ray.training.reprogram import fit_teacher
from tdmr_ray.training.workers import Metrics


def always(logits: list[float]) -> Callable[[Tensor], Tensor]:
    """Return a network with the same logits for every image."""
    return lambda images: torch.tensor([logits]).expand(len(images), -1)


@pytest.mark.parametrize(("threshold", "count"), [(0.0, 42), (0.6, 42), (0.7, 30)])
def test_predictions_count_from_the_threshold_on(threshold: float, count: int, tiny_task: Task) -> None:
    filled = pseudo_labeled(tiny_task, always([0.0, 1.3, 0.0]), threshold=threshold)  # probability 0.65
    assert (len(filled.train), filled.num_labeled) == (count, count)
    assert torch.equal(filled.train.labels[:30], tiny_task.labeled.labels)
    assert (filled.train.labels[30:] == 1).all()


def test_task_without_unlabelled_images_is_returned_unchanged(tiny_task: Task) -> None:
    task = replace(tiny_task, train=tiny_task.labeled)
    assert pseudo_labeled(task, always([1.0, 0.0, 0.0]), threshold=0.0) is task


def test_both_trainings_are_reported_and_the_second_sees_all_images(tiny_config: TrialConfig, tiny_task: Task) -> None:
    config = tiny_config.with_values({"method": "self_training", "foundation.name": ""})
    rows: list[Metrics] = []
    outcome = fit(config, tiny_task, rows.append, read_test=True)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert outcome.metrics["val/top1"] == rows[-1]["val/top1"]
    assert "test/top1" in outcome.metrics
    run = Run(config, tiny_task)
    while not run.done:
        run.run_epoch()
    assert run.training.second.num_images == 42  # type: ignore[union-attr]


def test_teacher_learns_again_with_its_pseudo_labels(tiny_task: Task) -> None:
    config = TrialConfig().with_values({"reprogram.epochs": 1, "pseudo_labels.rounds": 2})
    fitted = fit_teacher(config, tiny_task, load_foundation("glyph_cnn"), torch.device("cpu"))
    assert len(fitted.history) == 4
    assert fitted.val_top1 == max(row["reprogram/val_top1"] for row in fitted.history)


@pytest.mark.parametrize("kind", MAPPINGS)
def test_mapping_is_refitted_with_pseudo_labels_if_it_declares_so(
    kind: str, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrialConfig().with_values({"mapping.kind": kind, "pseudo_labels.rounds": 1, "reprogram.epochs": 1})
    seen: list[int] = []
    refit = MAPPINGS[kind].refit

    def spy(self: Mapping, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        seen.append(len(labels))
        refit(self, features, source_logits, labels)

    monkeypatch.setattr(MAPPINGS[kind], "refit", spy)
    fit_teacher(config, tiny_task, load_foundation("glyph_cnn"), torch.device("cpu"))
    refits = MAPPINGS[kind].refits
    assert seen == ([30] if refits is not None else []) + (
        [42] if refits is not None and refits.on_pseudo_labels else []
    )


def test_only_unlabelled_images_are_predicted(tiny_task: Task) -> None:
    seen: list[Tensor] = []

    def remember(images: Tensor) -> Tensor:
        seen.append(images)
        return torch.zeros(len(images), 3)

    pseudo_labeled(tiny_task, remember, threshold=0.0)
    hidden = Images(tiny_task.train.images[30:], tiny_task.train.labels[30:])
    assert torch.equal(torch.cat(seen), hidden.images.float() / 255)
