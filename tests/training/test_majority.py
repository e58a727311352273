"""The largest class is predicted for every image, with the class frequencies as probabilities."""

from dataclasses import replace

import pytest
import torch

from tdmr_ray.data.task import Images, Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run, fit
from tdmr_ray.training.workers import Metrics

CONFIG = TrialConfig(method="majority")


def with_labels(task: Task, labels: list[int]) -> Task:
    """Give the labelled images of a task other labels."""
    train = task.train.labels.clone()
    train[: len(labels)] = torch.tensor(labels)
    return replace(task, train=Images(task.train.images, train))


def test_largest_labelled_class_is_predicted_and_frequencies_are_its_probabilities(tiny_task: Task) -> None:
    task = with_labels(tiny_task, [2] * 15 + [0] * 9 + [1] * 6)
    rows: list[Metrics] = []
    outcome = fit(CONFIG, task, rows.append, read_test=True)
    assert outcome.target is None
    assert outcome.test is not None
    expected = torch.tensor([[0.3, 0.2, 0.5]]).expand(15, -1)
    torch.testing.assert_close(outcome.test.logits.softmax(dim=1), expected)
    assert (outcome.test.logits.argmax(dim=1) == 2).all()
    assert len(rows) == 1
    assert rows[0]["val/top1"] == outcome.metrics["test/top1"] == pytest.approx(1 / 3)


def test_class_without_an_image_has_a_finite_loss(tiny_task: Task) -> None:
    rows: list[Metrics] = []
    fit(CONFIG, with_labels(tiny_task, [0] * 30), rows.append)
    assert 1 < rows[0]["val/log_loss"] < 5


def test_it_restores(tiny_task: Task) -> None:
    run, second = Run(CONFIG, tiny_task), Run(CONFIG, tiny_task)
    run.run_epoch()
    second.restore(run.state())
    assert second.done
    assert second.finish(read_test=True).metrics == run.finish(read_test=True).metrics
