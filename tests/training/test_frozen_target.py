"""A frozen target: only the classifier changes, it is the best of the heads on val, and it ships like any other."""

from pathlib import Path

import pytest
import torch

from tdmr_ray.data.task import Task
from tdmr_ray.deploy.small_model import SmallModel, load_model
from tdmr_ray.errors import InputError
from tdmr_ray.models import load_target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run, fit
from tdmr_ray.training.fitted_classifier import features_of
from tdmr_ray.training.frozen_target import FrozenTarget
from tdmr_ray.training.linear_heads import fit_head, kinds_for
from tdmr_ray.training.workers import Metrics


@pytest.fixture
def config(tiny_config: TrialConfig, tiny_task: Task, tmp_path: Path) -> TrialConfig:
    """A trial from a file with weights."""
    torch.manual_seed(5)
    network = load_target("lcnet_035", num_classes=7, image_px=16).network
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    return tiny_config.with_values({"method": "frozen_target", "target.weights": str(tmp_path / "weights.pth")})


def test_only_the_classifier_differs_from_the_pretrained_network(config: TrialConfig, tiny_task: Task) -> None:
    rows: list[Metrics] = []
    outcome = fit(config, tiny_task, rows.append, read_test=True)
    assert outcome.target is not None
    assert outcome.artifact is None
    assert len(rows) == 1
    before = torch.load(config.target.weights)
    after = outcome.target.network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert after["classifier.weight"].shape[0] == 3
    assert outcome.metrics["test/top1"] > 0.6


def test_head_is_the_best_of_all_kinds_on_val(config: TrialConfig, tiny_task: Task) -> None:
    training = FrozenTarget(config, tiny_task)
    best = training.run_epoch()
    (note,) = training.notes
    found = {}
    features, val = (features_of(training.target, part, config) for part in (tiny_task.labeled, tiny_task.val))
    for kind in kinds_for(tiny_task.labeled.labels):
        head = fit_head(kind, features, tiny_task.labeled.labels, 3)
        found[str(kind)] = float((head.logits(val).argmax(dim=1) == tiny_task.val.labels).float().mean())
    assert best["val/top1"] == max(found.values()) == found[note.removeprefix("head: ")]


def test_it_restores_bit_for_bit(config: TrialConfig, tiny_task: Task) -> None:
    run, second = Run(config, tiny_task), Run(config, tiny_task)
    run.run_epoch()
    second.restore(run.state())
    assert second.done
    assert second.notes == run.notes
    first, again = run.finish(read_test=True), second.finish(read_test=True)
    assert again.metrics == first.metrics
    assert torch.equal(again.test.logits, first.test.logits)  # type: ignore[union-attr]


def test_it_ships_like_any_other_target(config: TrialConfig, tiny_task: Task, tmp_path: Path) -> None:
    outcome = fit(config, tiny_task, lambda _: None, read_test=True)
    assert outcome.target is not None
    assert outcome.test is not None
    SmallModel(outcome.target, tiny_task.class_names, 16, tiny_task.input_format, config).save(tmp_path / "best")
    opened = load_model(tmp_path / "best")
    probabilities = opened.probabilities(tiny_task.test.images.float().div(255))
    torch.testing.assert_close(probabilities, outcome.test.logits.softmax(dim=1))


def test_network_whose_classifier_is_no_linear_layer_is_refused(
    config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = load_target("lcnet_035", num_classes=3, image_px=16)
    target.network.classifier = torch.nn.Linear(target.feature_dim, 3, bias=False)
    monkeypatch.setattr("tdmr_ray.training.frozen_target.build_target", lambda *_, **__: target)
    with pytest.raises(InputError, match="leave the control out"):
        FrozenTarget(config, tiny_task)
