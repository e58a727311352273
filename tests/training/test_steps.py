"""Steps of a trial, counted, chosen, and as many as are really taken."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch

from tdmr_ray.data.task import Images, Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run
from tdmr_ray.training.steps import num_steps, with_steps

SOME = Images(torch.zeros(1000, 3, 1, 1, dtype=torch.uint8), torch.zeros(1000, dtype=torch.int64))
TASK = Task(SOME, 100, SOME, SOME, ("a", "b"), preset="document", fingerprint="")
"""100 labelled images, 900 without labels: 8 batches of 64 in an epoch of scratch, 16 in one over all images."""


@pytest.mark.parametrize(
    ("method", "epochs", "num_stages", "steps"),
    [
        ("tdmr", 10, 1, 160),
        ("scratch", 10, 1, 80),
        ("self_training", 10, 1, 320),
        ("linear_probe", 10, 1, 0),
        ("frozen_target", 10, 1, 0),
        ("majority", 10, 1, 0),
    ],
)
def test_steps_are_counted_over_all_trainings(method: str, epochs: int, num_stages: int, steps: int) -> None:
    config = TrialConfig().replace(method=method, distill__epochs=epochs)
    assert num_steps(config, TASK) == steps


@pytest.mark.parametrize(
    ("method", "num_stages", "steps", "epochs"),
    [
        ("tdmr", 1, 160, 10),
        ("tdmr", 3, 161, 11),
        ("tdmr", 3, 20, 3),
        ("scratch", 1, 160, 20),
        ("self_training", 1, 320, 10),
        ("self_training", 1, 321, 11),
        ("self_training", 1, 1, 1),
        ("linear_probe", 1, 160, 30),
        ("frozen_target", 1, 160, 30),
    ],
)
def test_epochs_are_the_fewest_with_so_many_steps_and_at_least_one_a_stage(
    method: str, num_stages: int, steps: int, epochs: int
) -> None:
    config = TrialConfig().replace(method=method, distill__num_stages=num_stages)
    found = with_steps(config, TASK, steps)
    assert found == config.replace(distill__epochs=epochs)
    assert not found.trains_target or num_steps(found, TASK) >= steps


@pytest.mark.parametrize("method", ["tdmr", "scratch", "self_training"])
@pytest.mark.parametrize("num_unlabeled", [0, 5, 12])
@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_trial_takes_as_many_steps_as_are_counted(
    method: str, num_unlabeled: int, threshold: float, tiny_config: TrialConfig, tiny_task: Task
) -> None:
    count = 30 + num_unlabeled
    task = replace(tiny_task, train=Images(tiny_task.train.images[:count], tiny_task.train.labels[:count]))
    config = tiny_config.with_values({"method": method, "pseudo_labels.threshold": threshold, "distill.epochs": 1})
    run = Run(config, task)
    with patch.object(torch.optim.AdamW, "step", autospec=True, side_effect=torch.optim.AdamW.step) as step:
        while not run.done:
            run.run_epoch()
    assert step.call_count == num_steps(config, task)
