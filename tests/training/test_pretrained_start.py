"""A target with initial weights starts from a classifier on its own features, and never ends below it on val."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.models import load_target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.fit import Run
from tdmr_ray.training.frozen_target import FrozenTarget

RUINOUS_LR = 3.0


@pytest.fixture
def config(tiny_config: TrialConfig, tmp_path: Path) -> TrialConfig:
    """A training with labels alone from a file with weights."""
    torch.manual_seed(5)
    torch.save(load_target("lcnet_035", num_classes=7, image_px=16).network.state_dict(), tmp_path / "weights.pth")
    return tiny_config.with_values({"method": "scratch", "target.weights": str(tmp_path / "weights.pth")})


def test_it_never_ends_below_the_fitted_classifier(config: TrialConfig, tiny_task: Task) -> None:
    frozen = FrozenTarget(config, tiny_task)
    frozen.run_epoch()
    training = Distillation(config.replace(distill__lr=RUINOUS_LR), tiny_task, None)
    while not training.done:
        row = training.run_epoch()
    assert row["val/top1_now"] < row["val/top1"]
    assert row["best_epoch"] == 0
    assert training.measure_best() == pytest.approx(frozen.measure_best())
    kept, fitted = training.best_target().state_dict(), frozen.target.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in fitted.items())


@pytest.mark.parametrize(
    ("classifier", "weights", "fitted"),
    [("auto", True, True), ("auto", False, False), ("random", True, False), ("fitted", False, True)],
)
def test_the_classifier_is_fitted_where_weights_are_given_or_as_asked(
    classifier: str, weights: bool, fitted: bool, config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr("tdmr_ray.training.distill.fit_classifier", lambda *parts: calls.append(parts))
    start = config.target.weights if weights else ""
    Distillation(config.replace(target__classifier=classifier, target__weights=start), tiny_task, None).run_epoch()
    assert len(calls) == fitted


def test_a_network_without_a_linear_classifier_starts_from_a_random_one(
    config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tdmr_ray.training.fitted_classifier.linear_classifier", lambda target: None)
    training = Distillation(config, tiny_task, None)
    assert training.run_epoch()["best_epoch"] == 1
    with pytest.raises(InputError, match="one linear layer with a bias; choose 'auto' or 'random'"):
        Distillation(config.replace(target__classifier="fitted"), tiny_task, None).run_epoch()


def test_a_restored_training_does_not_start_again(config: TrialConfig, tiny_task: Task) -> None:
    run, second = Run(config, tiny_task), Run(config, tiny_task)
    run.run_epoch()
    second.restore(run.state())
    last, again = run.run_epoch(), second.run_epoch()
    assert {key: last[key] for key in ("loss", "val/top1") if key in last} == {
        key: again[key] for key in ("loss", "val/top1") if key in again
    }
    first, other = run.finish(read_test=True), second.finish(read_test=True)
    assert torch.equal(first.test.logits, other.test.logits)  # type: ignore[union-attr]


def test_a_refit_may_keep_the_start(config: TrialConfig, tiny_task: Task) -> None:
    run, frozen = Run(config.replace(distill__stop_at=0.0), tiny_task), FrozenTarget(config, tiny_task)
    frozen.run_epoch()
    row = run.run_epoch()
    assert run.done
    assert (row["epoch"], row["steps"], row["best_epoch"]) == (1, 0, 0)
    kept = run.finish(read_test=False).target
    assert kept is not None
    assert all(torch.equal(kept.state_dict()[name], value) for name, value in frozen.target.state_dict().items())


@pytest.mark.parametrize("statistics", ["trained", "frozen"])
def test_frozen_batch_norm_keeps_its_statistics(statistics: str, config: TrialConfig, tiny_task: Task) -> None:
    training = Distillation(config.replace(distill__batch_norm=statistics), tiny_task, None)
    layer = next(each for each in training.learner.modules() if isinstance(each, nn.BatchNorm2d))
    assert layer.running_mean is not None
    before, weight = layer.running_mean.clone(), layer.weight.detach().clone()
    training.run_epoch()
    assert torch.equal(layer.running_mean, before) == (statistics == "frozen")
    assert not torch.equal(layer.weight, weight)
