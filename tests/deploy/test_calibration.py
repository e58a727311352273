"""Calibration: a temperature on val, and the error that it mends."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.odd_images import load

import tdmr_ray
from tdmr_ray.api.shipping import task_of
from tdmr_ray.data.config import DataConfig
from tdmr_ray.deploy.calibration import calibrate, calibration_error, measure_reliability
from tdmr_ray.training.config import TrialConfig


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [([0.9, 0.9], [1, 1], 0.1), ([0.9, 0.9], [1, 0], 0.4), ([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0], 0.0)],
)
def test_calibration_error_is_the_gap_between_confidence_and_accuracy(
    confidence: list[float], right: list[int], error: float
) -> None:
    first = torch.tensor(confidence)
    probabilities = torch.stack([first, 1 - first], dim=1)
    assert calibration_error(probabilities, 1 - torch.tensor(right)) == pytest.approx(error, abs=1e-6)


def test_temperature_lowers_the_log_loss_and_travels_with_the_model(
    small: tdmr_ray.SmallModel, odd_images: Path, tmp_path: Path
) -> None:
    task = load(odd_images)
    found = calibrate(small, task.val)
    assert found.thresholds.num_images == found.after.num_images == len(task.val)
    calibrated = found.apply(small)
    calibrated.save(tmp_path)
    pixels = task.val.images[:4].numpy()
    again = tdmr_ray.load_model(tmp_path)
    assert again.temperature == found.temperature
    assert again.thresholds == found.thresholds
    assert (again.classify(pixels) == calibrated.classify(pixels)).all()
    loss = {
        factor: -torch.from_numpy(
            replace(small, temperature=factor * found.temperature).classify(task.val.images.numpy())
        )
        .gather(1, task.val.labels[:, None])
        .log()
        .mean()
        for factor in (0.8, 1.0, 1.25)
    }
    assert loss[1.0] <= min(loss.values())


def test_reliability_of_a_model_is_that_of_its_calibrated_probabilities(
    small: tdmr_ray.SmallModel, odd_images: Path
) -> None:
    task = load(odd_images)
    found = calibrate(small, task.val)
    assert measure_reliability(found.apply(small), task.val) == found.after
    assert measure_reliability(small, task.val) == found.before != found.after
    assert sum(each.count for each in found.after.bins) == len(task.val)


@pytest.mark.parametrize("draw", [0, 1])
def test_a_redrawn_trial_is_calibrated_on_images_that_it_never_trained_on(draw: int) -> None:
    task = tdmr_ray.load_task("digits", shots=20)
    data = DataConfig(name="digits", shots=20)
    own = task_of(TrialConfig(data=data.model_copy(update={"draw": draw})), task)
    train, val, searched_val = (set(part.ids.tolist()) for part in (own.train, own.val, task.val))
    assert not train & val
    assert (val == searched_val) is (draw == 0)
