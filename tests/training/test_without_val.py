"""A task whose val joined train: the last weights are kept, and only test is measured."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.metrics import without_times

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Images, Task
from tdmr_ray.method.mappings import MAPPINGS
from tdmr_ray.models import load_foundation
from tdmr_ray.training.best_weights import BestWeights
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.fit import Run, fit
from tdmr_ray.training.frozen_target import FrozenTarget
from tdmr_ray.training.linear_heads import INVERSE_PENALTIES, Kind
from tdmr_ray.training.reprogram import fit_teacher
from tdmr_ray.training.teacher_artifact import load_artifact, make_teacher, save_artifact
from tdmr_ray.training.visualizations import collect_visualizations
from tdmr_ray.training.workers import Metrics

METHODS: dict[str, dict[str, object]] = {
    "tdmr": {"distill.num_stages": 2, "distill.self_distillation_weight": 0.5},
    "tdmr with a prompt and pseudo-labels": {"prompt.size_px": 2, "pseudo_labels.rounds": 1},
    "tdmr with outputs of a live teacher": {"outputs.kind": "live"},
    "scratch": {"method": "scratch", "foundation.name": ""},
    "self_training": {"method": "self_training", "foundation.name": ""},
    "linear_probe": {"method": "linear_probe", "target.name": ""},
    "frozen_target": {"method": "frozen_target", "foundation.name": ""},
    "majority": {"method": "majority", "foundation.name": "", "target.name": ""},
}


def none_of(images: Images) -> Images:
    """Return an empty split."""
    return Images(images.images[:0], images.labels[:0])


@pytest.fixture
def joined(tiny_task: Task) -> Task:
    """The tiny task after its val has joined train: 45 images with labels, and 12 without."""
    train, val = tiny_task.train, tiny_task.val
    images = torch.cat([train.images[:30], val.images, train.images[30:]])
    labels = torch.cat([train.labels[:30], val.labels, train.labels[30:]])
    return replace(tiny_task, train=Images(images, labels), num_labeled=45, val=none_of(tiny_task.val))


def names_with(prefix: str, rows: list[Metrics]) -> set[str]:
    """Return the names of metrics that begin so."""
    return {name for row in rows for name in row if name.startswith(prefix)}


@pytest.mark.parametrize("values", METHODS.values(), ids=METHODS)
def test_every_method_measures_test_alone(
    values: dict[str, object], tiny_config: TrialConfig, tiny_task: Task, joined: Task
) -> None:
    config, rows = tiny_config.with_values(values), []
    outcome = fit(config, joined, rows.append, read_test=True)
    assert len(rows) == config.num_epochs
    assert not names_with("val/", [*rows, outcome.metrics])
    assert names_with("test/", [outcome.metrics]) == {
        f"test/{name}" for name in ("top1", "balanced_accuracy", "macro_f1", "auroc", "average_precision", "log_loss")
    }
    assert ("best_epoch" in outcome.metrics) is config.trains_target
    if config.trains_target:
        assert [row["best_epoch"] for row in rows] == [1, 2] * config.num_trainings
    assert (outcome.target is None) is (config.target.name == "")


@pytest.mark.parametrize("values", METHODS.values(), ids=METHODS)
def test_task_without_test_gives_no_figures(
    values: dict[str, object], tiny_config: TrialConfig, tiny_task: Task, joined: Task
) -> None:
    config = tiny_config.with_values({**values, "distill.epochs": 2, "distill.stop_at": 0.5})
    outcome = fit(config, replace(joined, test=none_of(joined.test)), lambda _: None, read_test=True)
    assert outcome.test is None
    assert not names_with("val/", [outcome.metrics]) | names_with("test/", [outcome.metrics])


def off_val(metrics: Metrics) -> Metrics:
    """Return what does not depend on val."""
    return {name: value for name, value in without_times(metrics).items() if not name.startswith("val/")}


def keep_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let val find every epoch better than those before, so that the last one is kept."""
    offer = BestWeights.offer

    def later_is_better(self: BestWeights, module: torch.nn.Module, *score: float) -> bool:
        return offer(self, module, *(self.score and (self.score[0] + 1,)) or (0.0,))

    monkeypatch.setattr(BestWeights, "offer", later_is_better)


@pytest.mark.parametrize("method", ["tdmr", "self_training"])
def test_training_is_that_of_a_val_which_likes_the_last_epoch_best(
    method: str, tiny_config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without patience, val only chooses; a new stage and the pseudo-labels come from the last weights."""
    values = {"method": method, "distill.epochs": 4, "distill.num_stages": 2, "distill.self_distillation_weight": 0.5}
    config = tiny_config.with_values(values)
    artifact = make_teacher(config, tiny_task)
    keep_every_epoch(monkeypatch)
    rows: list[list[Metrics]] = [[], []]
    tasks = (tiny_task, replace(tiny_task, val=none_of(tiny_task.val)))
    outcomes = [
        fit(config, task, found.append, provider=lambda *_: artifact, read_test=True)
        for task, found in zip(tasks, rows, strict=True)
    ]
    with_val, without_val = ([off_val(row) for row in found] for found in rows)
    assert without_val == with_val
    assert outcomes[0].test is not None
    assert outcomes[1].test is not None
    assert torch.equal(outcomes[0].test.logits, outcomes[1].test.logits)


@pytest.mark.parametrize("kind", MAPPINGS)
@pytest.mark.parametrize("size_px", [0, 2])
def test_teacher_keeps_its_last_epoch(
    kind: str, size_px: int, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_every_epoch(monkeypatch)
    config = TrialConfig().with_values(
        {"mapping.kind": kind, "prompt.size_px": size_px, "reprogram.epochs": 2, "pseudo_labels.rounds": 1}
    )
    foundation, cpu = load_foundation("glyph_cnn"), torch.device("cpu")
    without = fit_teacher(config, replace(tiny_task, val=none_of(tiny_task.val)), foundation, cpu)
    expected = fit_teacher(config, tiny_task, foundation, cpu)
    assert without.val_top1 is None
    assert without.val_metrics == {}
    assert len(without.history) == len(expected.history)
    assert not names_with("reprogram/val", without.history)
    weights = without.teacher.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in expected.teacher.state_dict().items())


def test_artifact_and_pictures_of_a_teacher_without_val(tiny_config: TrialConfig, joined: Task, tmp_path: Path) -> None:
    config = tiny_config.replace(prompt__size_px=2)
    save_artifact(make_teacher(config, joined), tmp_path)
    artifact = load_artifact(tmp_path)
    assert artifact.val_top1 is None
    outcome = fit(config, joined, lambda _: None, provider=lambda *_: artifact)
    assert outcome.target is not None
    shown = collect_visualizations(config, joined, artifact, outcome.target)
    assert shown["prompt"]
    assert shown["disagreements"] == []


def test_training_restores_bit_for_bit(tiny_config: TrialConfig, joined: Task) -> None:
    config = tiny_config.with_values({"method": "scratch", "distill.epochs": 4, "distill.stop_at": 0.75})
    whole, again = (Distillation(config, joined, None) for _ in range(2))
    whole.run_epoch()
    again.restore(copy.deepcopy(whole.state()))
    while not whole.done:
        assert without_times(again.run_epoch()) == without_times(whole.run_epoch())
    assert again.done
    assert again.epoch == 3
    weights = again.best_target().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in whole.best_target().state_dict().items())


@pytest.mark.parametrize(("objective", "chosen"), [("top1", 0), ("log_loss", 1)])
def test_frozen_target_cross_validates_by_the_objective(
    objective: str, chosen: int, tiny_config: TrialConfig, joined: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first head is right and unsure; the second is wrong in one image and sure of all others."""
    values = {"method": "frozen_target", "foundation.name": "", "objective": objective}
    training = FrozenTarget(tiny_config.with_values(values), joined)
    labels = joined.labeled.labels
    right = torch.nn.functional.one_hot(labels, 3).float()
    sure = 20 * right
    sure[0] = torch.tensor([0.0, 1.0, 0.0])
    kinds = [Kind(INVERSE_PENALTIES[0]), Kind(None)]

    def choose(features: object, labels: torch.Tensor, num_classes: int, score: object, **_: object) -> Kind:
        scores = [score(logits, labels) for logits in (right, sure)]  # type: ignore[operator]
        return kinds[scores.index(max(scores))]

    monkeypatch.setattr("tdmr_ray.training.fitted_classifier.choose_by_cross_validation", choose)
    training.run_epoch()
    assert training.notes == [f"head: {kinds[chosen]}"]


@pytest.mark.parametrize(("join", "reads"), [("val", True), ("all", False)])
def test_refit_of_a_data_set_ends_at_the_share_that_val_chose(join: str, reads: bool) -> None:
    data = DataConfig(name="digits", shots=2, join=join)
    config = TrialConfig(data=data, method="scratch").with_values(
        {"target.name": "lcnet_035", "target.input_px": 16, "distill.epochs": 2, "distill.stop_at": 0.5}
    )
    task = load_task(data)
    run = Run(config, task)
    row = run.run_epoch()
    assert run.done
    assert row["best_epoch"] == 1
    outcome = run.finish(read_test=True)
    assert bool(names_with("test/", [outcome.metrics])) is (outcome.test is not None) is reads
    assert not names_with("val/", [outcome.metrics])
