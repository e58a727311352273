"""A training ends at its share of the schedule, or when val has not improved for long enough."""

import copy
from collections.abc import Callable

import pytest
from helpers.metrics import without_times
from torch.nn.functional import one_hot

from tdmr_ray.data.task import Task
from tdmr_ray.models import Target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.fit import Run
from tdmr_ray.training.sections import DistillConfig
from tdmr_ray.training.workers import Metrics

Script = Callable[[list[float]], None]


@pytest.fixture
def script_val(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Return a function that scripts how sure every training is of the right class on val, epoch by epoch."""

    def set_sureness(sureness: list[float]) -> None:
        def measured(self: Distillation, split: str, target: Target | None = None) -> Evaluation:
            labels = self.task.val.labels
            return Evaluation(sureness[self.epoch - 1] * one_hot(labels, 3).float(), labels)

        monkeypatch.setattr(Distillation, "evaluate_on", measured)

    return set_sureness


def rows_of(run: Run) -> list[Metrics]:
    """Return the metrics of all epochs that are left."""
    rows = []
    while not run.done:
        rows.append(without_times(run.run_epoch()))
    return rows


@pytest.fixture
def scratch(tiny_config: TrialConfig) -> TrialConfig:
    """Six epochs of four steps with labels alone."""
    return tiny_config.with_values({"method": "scratch", "foundation.name": "", "distill.epochs": 6})


@pytest.mark.parametrize(
    ("stop_at", "epochs", "last"), [(1.0, 30, 30), (0.5, 30, 15), (0.5, 5, 3), (0.01, 5, 1), (7 / 30, 30, 7)]
)
def test_last_epoch_is_a_share_rounded_up(stop_at: float, epochs: int, last: int) -> None:
    config = TrialConfig(distill=DistillConfig(stop_at=stop_at, patience=stop_at, epochs=epochs))
    assert config.distill.last_epoch == config.distill.patience_epochs == config.num_epochs == last
    assert config.replace(method="self_training").num_epochs == 2 * last
    assert config.replace(method="majority").num_epochs == 1


def test_share_of_any_epoch_gives_that_epoch() -> None:
    for epochs in range(1, 60):
        shares = [DistillConfig(stop_at=number / epochs, epochs=epochs) for number in range(1, epochs + 1)]
        assert [settings.last_epoch for settings in shares] == list(range(1, epochs + 1))


@pytest.mark.parametrize("method", ["scratch", "self_training"])
def test_share_of_the_schedule_is_trained_as_in_the_whole_schedule(
    method: str, scratch: TrialConfig, tiny_task: Task
) -> None:
    config = scratch.replace(method=method, distill__epochs=4)
    whole, part = rows_of(Run(config, tiny_task)), rows_of(Run(config.replace(distill__stop_at=0.5), tiny_task))
    assert len(part) == len(whole) // 2
    assert part[0] == whole[0]
    assert part[1].items() >= {name: whole[1][name] for name in ("epoch", "steps", "lr", "train/loss")}.items()


@pytest.mark.parametrize(
    ("patience", "sureness", "best", "ended"),
    [
        (1.0, [5, 4, 4, 4, 4, 4], 1, 6),
        (0.5, [5, 4, 4, 4, 4, 4], 1, 4),
        (0.5, [1, 5, 4, 4, 4, 4], 2, 5),
        (0.5, [1, 4, 2, 3, 5, 4], 5, 6),
        (0.1, [1, 2, 3, 2, 9, 9], 3, 4),
        (0.5, [1, 2, 3, 4, 5, 6], 6, 6),
    ],
)
def test_patience_counts_epochs_since_the_kept_one(
    patience: float,
    sureness: list[float],
    best: int,
    ended: int,
    scratch: TrialConfig,
    tiny_task: Task,
    script_val: Script,
) -> None:
    script_val(sureness)
    rows = rows_of(Run(scratch.replace(distill__patience=patience), tiny_task))
    assert (rows[-1]["epoch"], rows[-1]["best_epoch"]) == (ended, best)
    assert [row["steps"] for row in rows] == [4 * number for number in range(1, ended + 1)]


def test_both_trainings_of_self_training_end_on_their_own(
    scratch: TrialConfig, tiny_task: Task, script_val: Script
) -> None:
    script_val([1, 5, 4, 3, 2, 1])
    config = scratch.with_values({"method": "self_training", "distill.patience": 0.3})
    rows = rows_of(Run(config, tiny_task))
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert [row["best_epoch"] for row in rows] == [1, 2, 2, 2] * 2
    assert [row["steps"] for row in rows] == [4 * number for number in range(1, 9)]


@pytest.mark.parametrize("method", ["scratch", "self_training"])
def test_training_with_patience_restores_bit_for_bit(
    method: str, scratch: TrialConfig, tiny_task: Task, script_val: Script
) -> None:
    script_val([1, 5, 4, 4, 4, 4])
    config = scratch.with_values({"method": method, "distill.patience": 0.3})
    whole = Run(config, tiny_task)
    states, expected = [], []
    while not whole.done:
        expected.append(without_times(whole.run_epoch()))
        states.append(copy.deepcopy(whole.state()))
    for ended, state in enumerate(states, 1):
        again = Run(config, tiny_task)
        again.restore(state)
        assert again.done == (ended == len(expected))
        assert rows_of(again) == expected[ended:]


@pytest.mark.parametrize("method", ["frozen_target", "majority", "linear_probe"])
def test_method_without_a_schedule_has_no_steps_and_no_best_epoch(
    method: str, tiny_config: TrialConfig, tiny_task: Task
) -> None:
    (row,) = rows_of(Run(tiny_config.replace(method=method), tiny_task))
    assert (row["epoch"], row["steps"]) == (1, 0)
    assert "best_epoch" not in row
