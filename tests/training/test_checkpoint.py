"""Checkpoints are complete or absent, and a restored trial continues as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from helpers.metrics import without_times

from tdmr_ray.data.task import Task
from tdmr_ray.storage import StoragePath
from tdmr_ray.training.checkpoint import DamagedCheckpoint, load_checkpoint, save_checkpoint
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run

METHODS = {
    "tdmr": {"distill.num_stages": 2, "distill.self_distillation_weight": 0.5},
    "learned temperature": {"temperature.schedule": "learned"},
    "scratch": {"method": "scratch", "foundation.name": ""},
    "self_training": {"method": "self_training", "foundation.name": "", "distill.epochs": 2},
    "linear_probe": {"method": "linear_probe", "target.name": ""},
}


@pytest.mark.slow
@pytest.mark.parametrize("values", METHODS.values(), ids=METHODS)
def test_trial_continues_from_any_epoch_as_if_it_had_never_stopped(
    values: dict[str, object], tiny_config: TrialConfig, tiny_task: Task, tmp_path: Path
) -> None:
    config = tiny_config.with_values({"distill.epochs": 4, **values})
    path = tmp_path / "trial.pt"
    whole, expected = Run(config, tiny_task), []
    while not whole.done:
        expected.append(without_times(whole.run_epoch()))
    finished = whole.finish(read_test=True).metrics
    for epoch in range(1, config.num_epochs + 1):
        first = Run(config, tiny_task)
        for _ in range(epoch):
            first.run_epoch()
        save_checkpoint({"run": first.state()}, StoragePath(path), key="a")
        state = load_checkpoint(StoragePath(path), key="a")
        assert state is not None
        second = Run(config, tiny_task)
        second.restore(state["run"])
        rest = []
        while not second.done:
            rest.append(without_times(second.run_epoch()))
        assert rest == expected[epoch:]
        assert without_times(second.finish(read_test=True).metrics) == without_times(finished)


def test_missing_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(StoragePath(tmp_path / "none.pt"), key="a") is None


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "not a torch file", "truncated"])
def test_damaged_checkpoint_is_an_error(damage: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    save_checkpoint({"weights": torch.ones(1000)}, StoragePath(path), key="a")
    path.write_bytes(path.read_bytes()[:900] if damage is None else damage)
    with pytest.raises(DamagedCheckpoint, match="is unreadable"):
        load_checkpoint(StoragePath(path), key="a")


def test_checkpoint_of_another_trial_is_an_error(tmp_path: Path) -> None:
    save_checkpoint({}, StoragePath(tmp_path / "trial.pt"), key="a")
    with pytest.raises(DamagedCheckpoint, match="another configuration"):
        load_checkpoint(StoragePath(tmp_path / "trial.pt"), key="b")


def test_full_disk_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    save_checkpoint({"epoch": 1}, StoragePath(path), key="a")
    (tmp_path / "trial.draft").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint({"weights": torch.ones(100_000)}, StoragePath(path), key="a")
    assert load_checkpoint(StoragePath(path), key="a") == {"epoch": 1}
