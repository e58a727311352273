"""Ray Train: several processes run one trial or make one teacher, and one of them is lost."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.listening import is_loopback, listening, tree_of
from helpers.searching import command, write_space

from tdmr_ray.ledger import Ledger
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.cluster import ray_session
from tdmr_ray.runner.distributed import make_teacher_with_workers
from tdmr_ray.runner.messages import Assignment, WorkerSettings
from tdmr_ray.runner.worker_context import open_context
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import load_artifact, make_teacher, teacher_key
from tdmr_ray.tuning.trial_spec import build_spec

pytestmark = [pytest.mark.slow, pytest.mark.stress]

CONFIG = {
    "data.shots": 5,
    "foundation.name": "glyph_cnn",
    "target.name": "lcnet_035",
    "prompt.size_px": 2,
    "reprogram.epochs": 2,
    "outputs.num_views": 2,
}


@pytest.fixture
def own_ray() -> Iterator[None]:
    with ray_session(None, verbose=False):
        yield


def test_several_workers_make_the_same_teacher_as_one(own_ray: None, tmp_path: Path) -> None:
    config = TrialConfig().with_values(CONFIG)
    settings = WorkerSettings(tmp_path / "store", reprogram_workers=2)
    assignment = Assignment(build_spec(config, phase="search"), settings, RunLayout(tmp_path))
    context = open_context(settings)
    task = context.tasks.get(config.data)
    key = teacher_key(config, task.fingerprint)
    together = load_artifact(make_teacher_with_workers(assignment, context, config, key))
    alone = make_teacher(config, task)
    losses = [[row["reprogram/loss"] for row in artifact.history[1:]] for artifact in (together, alone)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert together.val_top1 == pytest.approx(alone.val_top1, abs=0.01)


def test_a_search_runs_trials_with_two_workers(tmp_path: Path) -> None:
    space = write_space(
        tmp_path,
        pairs={"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
        budget={"trials": 1, "epochs": 3},
        confirm={"top": 1, "seeds": [0], "controls": ["linear_probe"], "steps": 20, "refit": False},
        resources={"workers": 2},
    )
    arguments = command("search", "--space", space, "--out", tmp_path / "out", "--store", tmp_path / "store")
    search, seen = psutil.Popen(arguments, stdout=subprocess.DEVNULL), set[tuple[str, str]]()
    while search.poll() is None:
        seen |= {(each.name(), address) for each in tree_of(search) for address in listening(each)}
        time.sleep(0.2)
    assert search.returncode == 0
    assert any(name.startswith("ray::RayTrain") for name, _ in seen)
    assert not [(name, address) for name, address in seen if not is_loopback(address)]
    records = Ledger(tmp_path / "out/records.jsonl").read()
    phases = ["search", "confirm", "confirm"]
    assert [(record.phase, record.state) for record in records] == [(phase, "complete") for phase in phases]
    assert all(record.cpu_hours == pytest.approx(2 * record.seconds / 3600, rel=0.01) for record in records)
    target, probe = (record.metrics for record in records if record.phase == "confirm")
    assert target["train/top1"] > 0.2, "it learns; batch norm's averages need more than these steps"
    assert "test/top1" in target
    assert probe["test/top1"] > 0.8
    assert (tmp_path / "out/best/glyph_cnn-lcnet_035/target.safetensors").exists()
    assert not list((tmp_path / "out/checkpoints").iterdir())
    assert not (tmp_path / "out/ray_train").exists()


def workers_of(driver: int) -> list[psutil.Process]:
    """The training processes of a run."""
    found = []
    for child in psutil.Process(driver).children(recursive=True):
        try:
            if "RayTrainWorker" in "".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def test_a_run_that_loses_a_worker_continues_after_its_last_epoch(tmp_path: Path) -> None:
    space = write_space(tmp_path, budget={"trials": 2, "epochs": 12})
    arguments = ["--space", space, "--workers", 2, "--out", tmp_path / "out", "--store", tmp_path / "store"]
    lines: list[str] = []
    with subprocess.Popen(command("train", *arguments), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith("epoch 3:") and len(lines) == 3:
                workers_of(process.pid)[-1].kill()
    assert process.returncode == 0
    epochs = [int(match[1]) for line in lines if (match := re.match(r"epoch (\d+):", line))]
    again = epochs.index(3) + 1
    assert epochs[:again] == [1, 2, 3]
    assert epochs[-1] == 12
    assert min(epochs[again:]) >= 3, "more than an epoch was lost"
    metrics: dict[str, Any] = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["epoch"] == 12
    assert (tmp_path / "out/target.safetensors").exists()
    assert not (tmp_path / "out/checkpoint.pt").exists()
