"""What ships is calibrated by the trial before the refit, on val images which that trial never trained on."""

import json
from pathlib import Path

import pytest
import torch

import tdmr_ray
from tdmr_ray.api.shipping import ship_models, task_of
from tdmr_ray.data.task import Task
from tdmr_ray.deploy.calibration import calibrate, measure_reliability
from tdmr_ray.deploy.small_model import model_of
from tdmr_ray.models import WEIGHTS_FILE, load_target, save_target
from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.report.folder import Comparison, Search
from tdmr_ray.report.page import render_page
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.reliability import read_reliability

TARGET = "lcnet_035"
PAIR = Pair(foundation="glyph_cnn", target=TARGET)


@pytest.fixture(scope="module")
def task() -> Task:
    return tdmr_ray.load_task("digits", shots=20)


def finished(layout: RunLayout, name: str, phase: str, seed: int, **data: object) -> TrialRecord:
    """Leave random weights where a trial would, and return its record."""
    torch.manual_seed(seed)
    keys = {"foundation.name": PAIR.foundation, "target.name": TARGET, "seed": seed, "data.shots": 20}
    config = TrialConfig().with_values(keys | {f"data.{key}": value for key, value in data.items()})
    folder = layout.finalists / name
    folder.mkdir(parents=True)
    save_target(load_target(TARGET, num_classes=10, image_px=32), folder)
    return TrialRecord(
        id=name,
        phase=phase,  # type: ignore[arg-type]
        role="tdmr",
        pair=PAIR,
        config=config.model_dump(mode="json"),
        state="complete",
        seed=seed,
        seconds=1.0,
        recipe="recipe",
        artifacts=name,
        metrics={"val/top1": 0.5 + 0.1 * seed, "val/log_loss": 1.0, "test/top1": 0.5, "test/log_loss": 1.0},
    )


@pytest.mark.parametrize("join", ["val", "all"])
def test_a_refit_takes_temperature_and_thresholds_of_the_trial_before_it(join: str, task: Task, tmp_path: Path) -> None:
    layout = RunLayout(tmp_path)
    records = [finished(layout, f"confirm-{seed}", "confirm", seed, draw=seed) for seed in (0, 1)]
    records.append(finished(layout, "refit", "refit", 0, join=join))
    search = Search("made", records)
    ship_models(Comparison([search]), layout, task)
    shipped = tdmr_ray.load_model(layout.best / PAIR.name)

    before = TrialConfig.model_validate(records[1].config)  # seed 1 is better on val
    own = task_of(before, task)
    assert set(own.val.ids.tolist()) != set(task.val.ids.tolist())
    expected = calibrate(model_of(layout.finalists / "confirm-1" / WEIGHTS_FILE, before, own), own.val)
    assert json.loads((layout.best / PAIR.name / "config.json").read_text())["record"] == "refit"
    assert (shipped.temperature, shipped.thresholds) == (expected.temperature, expected.thresholds)

    (found,) = {each.title: each for each in read_reliability(layout.best)}.values()
    assert (found.val_before, found.val) == (expected.before, expected.after)
    assert found.test == (None if join == "all" else measure_reliability(shipped, task.test))
    search.reliability[:] = [found]
    assert f"Reliability: {PAIR.foundation} -&gt; {TARGET}" in render_page([Comparison([search])])
