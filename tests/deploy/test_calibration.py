"""Calibration: a temperature on val, and the error that it mends."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.odd_images import load

import tdmr_ray
from tdmr_ray.deploy.calibration import calibrate, calibration_error


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
    assert found.num_images == len(task.val)
    calibrated = replace(small, temperature=found.temperature)
    calibrated.save(tmp_path)
    pixels = task.val.images[:4].numpy()
    again = tdmr_ray.load_model(tmp_path)
    assert again.temperature == found.temperature
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
