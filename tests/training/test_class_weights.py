"""`distill.class_weights: balanced` weights the label loss of a training by its labelled training images."""

from dataclasses import replace

import pytest
import torch

from tdmr_ray.data.task import Images, Task
from tdmr_ray.method.losses import balanced_weights
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation


@pytest.fixture
def lopsided(tiny_task: Task) -> Task:
    """Of 30 labelled images, 24 are of the first class, 4 of the second and 2 of the third."""
    labels = torch.cat([torch.tensor([0] * 24 + [1] * 4 + [2] * 2), torch.full((12,), -1)])
    return replace(tiny_task, train=Images(tiny_task.train.images, labels))


def first_epoch(config: TrialConfig, task: Task, class_weights: str) -> dict[str, float]:
    """Return the metrics of an epoch that hardly changes the target."""
    settings = {"method": "scratch", "distill.class_weights": class_weights, "distill.lr": 1e-12, "views.mix": 0.0}
    return Distillation(config.with_values(settings), task, None).run_epoch()


def test_weights_count_labelled_images_only(tiny_config: TrialConfig, lopsided: Task) -> None:
    balanced = Distillation(tiny_config.replace(distill__class_weights="balanced"), lopsided, None)
    assert balanced.class_weights is not None
    assert balanced.class_weights.tolist() == pytest.approx([30 / 72, 30 / 12, 30 / 6])
    assert Distillation(tiny_config, lopsided, None).class_weights is None


def test_label_loss_of_an_epoch_is_weighted(tiny_config: TrialConfig, lopsided: Task, tiny_task: Task) -> None:
    plain, balanced = (first_epoch(tiny_config, lopsided, name)["train/labels"] for name in ("none", "balanced"))
    assert abs(plain - balanced) > 1e-3
    even = [first_epoch(tiny_config, tiny_task, name)["train/labels"] for name in ("none", "balanced")]
    assert torch.equal(balanced_weights(tiny_task.labeled.labels, 3), torch.ones(3))
    assert even[0] == pytest.approx(even[1])
