"""Distillation restores exactly, replays bit for bit, trains every loss term, and moves through its stages."""

import copy
from pathlib import Path

import pytest
import torch
from helpers.metrics import without_times

from tdmr_ray.data.task import Task
from tdmr_ray.errors import NonFiniteLoss
from tdmr_ray.method.alignments import ALIGNMENTS
from tdmr_ray.method.losses import LOSSES
from tdmr_ray.method.losses.dist import dist_loss
from tdmr_ray.method.losses.dkd import dkd_loss
from tdmr_ray.method.losses.kl import kl_loss
from tdmr_ray.method.losses.logit_loss import standardize_logits
from tdmr_ray.method.losses.mse import mse_loss
from tdmr_ray.method.schedules import SCHEDULES
from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.training.batches import epoch_batches
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.fit import Run, fit
from tdmr_ray.training.teacher_artifact import (
    TeacherArtifact,
    load_artifact,
    make_teacher,
    open_outputs,
    restore_teacher,
    save_artifact,
)
from tdmr_ray.training.teacher_outputs import average_over_views, training_views
from tdmr_ray.training.workers import Metrics


@pytest.fixture
def artifact(tiny_config: TrialConfig, tiny_task: Task) -> TeacherArtifact:
    return make_teacher(tiny_config, tiny_task)


def run(config: TrialConfig, task: Task, artifact: TeacherArtifact) -> list[Metrics]:
    rows: list[Metrics] = []
    fit(config, task, rows.append, provider=lambda *_: artifact)
    return [without_times(row) for row in rows]


def test_two_trials_are_equal_bit_for_bit(tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact) -> None:
    assert run(tiny_config, tiny_task, artifact) == run(tiny_config, tiny_task, artifact)


def test_auto_precision_on_a_cpu_is_fp32_bit_for_bit(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    assert tiny_config.precision == "auto"
    assert run(tiny_config, tiny_task, artifact) == run(tiny_config.replace(precision="fp32"), tiny_task, artifact)


@pytest.mark.parametrize("change", [{}, {"loss.kind": "dist", "alignment.kind": "project"}], ids=str)
def test_bf16_keeps_losses_and_weights_in_fp32_and_close_to_fp32_training(
    change: dict[str, object], tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    """The first epoch has one step, so that only the forward pass differs."""
    config = tiny_config.with_values({**change, "distill.batch_size": 504})
    exact, rounded = (
        Distillation(config.replace(precision=precision), tiny_task, artifact.outputs) for precision in ("fp32", "bf16")
    )
    exact_row, rounded_row = exact.run_epoch(), rounded.run_epoch()
    assert all(value.dtype == torch.float32 for value in rounded.learner.parameters())
    assert rounded.evaluate_on("val", rounded.learner.target).logits.dtype == torch.float32
    for name in ("train/alignment", "train/logits", "train/labels"):
        assert rounded_row[name] == pytest.approx(exact_row[name], rel=0.1)
        assert rounded_row[name] != exact_row[name]


def test_seed_changes_the_training(tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact) -> None:
    other = tiny_config.replace(seed=1)
    assert run(tiny_config, tiny_task, artifact) != run(other, tiny_task, artifact)


@pytest.mark.parametrize("stop_after", [1, 2, 3])
@pytest.mark.parametrize(
    "change",
    [{}, {"distill.self_distillation_weight": 0.5}, {"distill.num_stages": 1, "distill.learn_first": "labels"}],
    ids=["two stages", "own logits", "labels first"],
)
def test_restored_distillation_continues_as_if_it_had_never_stopped(
    stop_after: int,
    change: dict[str, object],
    tiny_config: TrialConfig,
    tiny_task: Task,
    artifact: TeacherArtifact,
) -> None:
    config = tiny_config.with_values({"distill.epochs": 4, "distill.num_stages": 2, **change})
    whole = Distillation(config, tiny_task, artifact.outputs)
    expected = [without_times(whole.run_epoch()) for _ in range(4)]
    first = Distillation(config, tiny_task, artifact.outputs)
    for _ in range(stop_after):
        first.run_epoch()
    second = Distillation(config, tiny_task, artifact.outputs)
    second.restore(first.state())
    assert [without_times(second.run_epoch()) for _ in range(4 - stop_after)] == expected[stop_after:]


STEADY = {"dkd": {"loss.warmup": 0}}
"""Settings that keep the weight of a loss from rising while the loss falls."""


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("standardize", [False, True])
def test_terms_of_a_first_batch_are_those_of_its_components(
    loss: str, alignment: str, standardize: bool, tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    """An epoch of one batch reports the terms before its only step, so they follow from the initial weights."""
    config = tiny_config.with_values(
        {
            "loss.kind": loss,
            "loss.standardize": standardize,
            "alignment.kind": alignment,
            "temperature.start": 2.0,
            "distill.epochs": 1,
            "distill.batch_size": 504,
            **STEADY.get(loss, {}),
        }
    )
    row = Distillation(config, tiny_task, artifact.outputs).run_epoch()
    fresh = Distillation(config, tiny_task, artifact.outputs)
    (batch,) = epoch_batches(42, batch_size=504, epoch=0, seed=config.seed, num_views=2)
    view = fresh.views.batch(batch.rows, batch.views)
    torch.manual_seed(config.seed * 1_000_003)
    features, logits = fresh.learner.target.train()(view.images.to(memory_format=torch.channels_last))
    embedding, teacher_logits = open_outputs(config, tiny_task, artifact).batch(view)
    if standardize:
        logits, teacher_logits = standardize_logits(logits), standardize_logits(teacher_logits)
    function = {"kl": kl_loss, "mse": mse_loss, "dist": dist_loss, "dkd": dkd_loss}[loss]
    assert fresh.learner.alignment is not None
    expected = (9 if standardize else 1) * function(logits, teacher_logits, temperature=2.0).item()
    assert row["train/logits"] == pytest.approx(expected, rel=1e-4)
    assert row["train/alignment"] == pytest.approx(fresh.learner.alignment(features, embedding).item(), rel=1e-4)
    weights = config.distill
    assert row["train/loss"] == pytest.approx(
        weights.alignment_weight * row["train/alignment"]
        + weights.logits_weight * row["train/logits"]
        + weights.labels_weight * row["train/labels"]
    )


def test_loss_warms_up_over_its_share_of_the_steps(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    """In the first of four epochs, of two batches each, the steps count 0 and 1/4 times; from the third epoch on, once.

    The learning rate is too small to move the loss, which is therefore the same but for its factor.
    """
    shared = {"loss.kind": "dkd", "distill.epochs": 4, "distill.batch_size": 252, "distill.lr": 1e-9}
    whole = run(tiny_config.with_values({**shared, "loss.warmup": 0}), tiny_task, artifact)
    rows = run(tiny_config.with_values({**shared, "loss.warmup": 0.5}), tiny_task, artifact)
    shares = [row["train/logits"] / full["train/logits"] for row, full in zip(rows, whole, strict=True)]
    assert shares == pytest.approx([1 / 8, 5 / 8, 1, 1], abs=0.03)


TERMS = [
    *(
        {"loss.kind": kind, "loss.standardize": both, "distill.alignment_weight": 0, **STEADY.get(kind, {})}
        for kind in LOSSES
        for both in (0, 1)
    ),
    *({"alignment.kind": kind, "distill.logits_weight": 0} for kind in ALIGNMENTS),
]


@pytest.mark.parametrize("values", TERMS, ids=str)
def test_training_on_one_term_reduces_it(
    values: dict[str, object], tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    config = tiny_config.with_values({**values, "distill.labels_weight": 0, "distill.epochs": 6})
    rows = run(config, tiny_task, artifact)
    assert rows[-1]["train/loss"] < 0.99 * rows[0]["train/loss"]


@pytest.mark.parametrize("schedule", [kind for kind in SCHEDULES if kind != "learned"])
@pytest.mark.parametrize("num_stages", [1, 3])
def test_every_schedule_runs_through_all_stages(
    schedule: str, num_stages: int, tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    config = tiny_config.with_values(
        {
            "temperature.schedule": schedule,
            "temperature.start": 8.0,
            "distill.num_stages": num_stages,
            "distill.epochs": 3,
        }
    )
    rows = run(config, tiny_task, artifact)
    assert [row["stage"] for row in rows] == ([1, 1, 1] if num_stages == 1 else [1, 2, 3])
    temperatures = [row["temperature"] for row in rows]
    assert temperatures == sorted(temperatures, reverse=True)
    assert (temperatures[0] == temperatures[-1]) == (schedule == "constant" or (schedule, num_stages) == ("step", 1))


def test_later_stage_starts_from_the_best_weights(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    config = tiny_config.replace(distill__epochs=4, distill__num_stages=2)
    distillation = Distillation(config, tiny_task, artifact.outputs)
    for _ in range(2):
        distillation.run_epoch()
    marked = {name: value.clone() for name, value in distillation.best.weights.weights.items()}
    for parameter in distillation.learner.parameters():
        torch.nn.init.zeros_(parameter)
    distillation._start_stage_from_best()
    state = distillation.learner.state_dict()
    assert all(torch.equal(state[name], value) for name, value in marked.items())
    assert distillation.optimizer.state_dict()["state"] == {}


def test_gradients_are_clipped(tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact) -> None:
    for clip_norm in (1e9, 1e-3):
        distillation = Distillation(tiny_config.replace(distill__clip_norm=clip_norm), tiny_task, artifact.outputs)
        distillation.run_epoch()
        gradients = [parameter.grad.flatten() for parameter in distillation.learner.parameters()]  # type: ignore[union-attr]
        norm = torch.cat(gradients).norm().item()
        assert norm > 0.01 if clip_norm > 1 else norm == pytest.approx(clip_norm, rel=1e-3)


def test_own_logits_join_from_the_second_stage_on(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    config = tiny_config.replace(distill__epochs=4, distill__num_stages=2, distill__self_distillation_weight=1.0)
    distillation = Distillation(config, tiny_task, artifact.outputs)
    distillation.run_epoch()
    distillation.run_epoch()
    assert distillation.past_logits is None
    best = copy.deepcopy(distillation.best_target()).eval()
    distillation.run_epoch()
    expected = average_over_views(lambda images: ProxySpace(*best(images)), distillation.views, torch.device("cpu"))
    assert distillation.past_logits is not None
    torch.testing.assert_close(distillation.past_logits, expected.logits)


def test_after_labels_alone_the_own_logits_are_averaged_with_the_teachers(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    config = tiny_config.replace(distill__epochs=4, distill__learn_first="labels")
    distillation = Distillation(config, tiny_task, artifact.outputs)
    of_labels, of_teacher = distillation._batches(1), distillation._batches(2)
    assert len(of_labels) == len(of_teacher)
    assert max(int(batch.rows.max()) for batch in of_labels) == tiny_task.num_labeled - 1
    assert max(int(batch.rows.max()) for batch in of_teacher) == len(tiny_task.train) - 1
    rows = [distillation.run_epoch() for _ in range(2)]
    assert all(row["train/loss"] == pytest.approx(row["train/labels"]) for row in rows)
    distillation.run_epoch()
    view = distillation.views.batch(torch.tensor([0, 35]), 0)
    found, past = distillation._teacher_outputs(view), distillation.past_logits
    assert found is not None and past is not None and artifact.outputs is not None
    expected = (artifact.outputs.batch(view).logits + past[[0, 35]]) / 2
    torch.testing.assert_close(found.logits, expected)


def test_scratch_trains_on_labelled_images_without_a_foundation(tiny_config: TrialConfig, tiny_task: Task) -> None:
    config = tiny_config.replace(method="scratch", foundation__name="")
    rows: list[Metrics] = []
    outcome = fit(config, tiny_task, rows.append)
    assert outcome.artifact is None
    assert Run(config, tiny_task).training.num_images == 30  # type: ignore[union-attr]
    assert "train/logits" not in rows[0]


def test_linear_probe_reports_the_teachers_accuracy(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    config = tiny_config.replace(method="linear_probe", target__name="")
    rows: list[Metrics] = []
    outcome = fit(config, tiny_task, rows.append, provider=lambda *_: artifact, read_test=True)
    assert len(rows) == 1
    assert rows[0]["val/top1"] == artifact.val_top1
    assert outcome.target is None
    assert "test/top1" in outcome.metrics


def test_test_images_are_read_only_on_request(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    rows: list[Metrics] = []
    outcome = fit(tiny_config, tiny_task, rows.append, provider=lambda *_: artifact)
    assert outcome.test is None
    assert not any(name.startswith("test/") for row in [*rows, outcome.metrics] for name in row)


def test_stored_outputs_are_the_teachers_outputs_for_the_same_views(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    teacher = restore_teacher(tiny_config, artifact, tiny_task.num_classes)
    views, rows = training_views(tiny_config, tiny_task), torch.tensor([3, 35, 7])
    for number in range(2):
        view = views.batch(rows, number)
        live, stored = teacher(view.images), open_outputs(tiny_config, tiny_task, artifact).batch(view)
        torch.testing.assert_close(stored.logits, live.logits, atol=0.02, rtol=0.01)
        torch.testing.assert_close(stored.embedding, live.embedding, atol=0.02, rtol=0.01)


@pytest.mark.parametrize("view_averaging", [0.0, 0.5])
def test_live_teacher_gives_the_same_losses_as_stored_outputs(
    tiny_config: TrialConfig, tiny_task: Task, view_averaging: float
) -> None:
    stored = tiny_config.with_values(
        {"views.mix": 0.5, "outputs.view_averaging": view_averaging, "outputs.propagation_neighbors": 3}
    )
    live = stored.replace(outputs__kind="live")
    made = make_teacher(live, tiny_task)
    assert made.outputs is None
    both = [run(config, tiny_task, make_teacher(config, tiny_task)) for config in (stored, live)]
    for of_stored, of_live in zip(*both, strict=True):
        assert without_times(of_live) == pytest.approx(without_times(of_stored), rel=1e-3, abs=1e-4)


def test_mixed_views_have_stored_outputs_of_their_own(tiny_config: TrialConfig, tiny_task: Task) -> None:
    config = tiny_config.replace(views__mix=0.7)
    mixed = make_teacher(config, tiny_task)
    teacher = restore_teacher(config, mixed, tiny_task.num_classes)
    view = training_views(config, tiny_task).batch(torch.arange(42), 1)
    live, stored = teacher(view.images), open_outputs(config, tiny_task, mixed).batch(view)
    torch.testing.assert_close(stored.logits, live.logits, atol=0.02, rtol=0.01)
    assert all(torch.isfinite(torch.tensor(row["train/loss"])) for row in run(config, tiny_task, mixed))


def test_learned_temperature_moves_within_its_bounds_and_restores(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact
) -> None:
    config = tiny_config.with_values(
        {"temperature.schedule": "learned", "temperature.start": 1.0, "temperature.end": 9.0, "distill.epochs": 3}
    )
    whole = Distillation(config, tiny_task, artifact.outputs)
    expected = [without_times(whole.run_epoch()) for _ in range(3)]
    temperatures = [row["temperature"] for row in expected]
    assert len(set(temperatures)) == 3
    assert all(1.0 < value < 9.0 for value in temperatures)
    first, second = (Distillation(config, tiny_task, artifact.outputs) for _ in range(2))
    first.run_epoch()
    second.restore(first.state())
    assert [without_times(second.run_epoch()) for _ in range(2)] == expected[1:]


def test_artifact_survives_the_disk(
    tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact, tmp_path: Path
) -> None:
    save_artifact(artifact, tmp_path)
    assert run(tiny_config, tiny_task, load_artifact(tmp_path)) == run(tiny_config, tiny_task, artifact)


@pytest.mark.parametrize(
    ("values", "shapes"),
    [
        ({}, {}),
        ({"prompt.size_px": 2}, {"prompt": (3, 32, 32)}),
        ({"prompt.size_px": 2, "mapping.kind": "bayesian"}, {"prompt": (3, 32, 32), "mapping": None}),
    ],
    ids=["linear probe", "prompt", "prompt and label mapping"],
)
def test_artifact_holds_the_pictures_of_its_teacher(
    values: dict[str, object], shapes: dict[str, object], tiny_config: TrialConfig, tiny_task: Task, tmp_path: Path
) -> None:
    config = tiny_config.with_values({**values, "outputs.kind": "live"})
    made = make_teacher(config, tiny_task)
    save_artifact(made, tmp_path)
    pictures, teacher = load_artifact(tmp_path).pictures, restore_teacher(config, made, tiny_task.num_classes)
    assert pictures.keys() == shapes.keys()
    if "prompt" in shapes:
        assert pictures["prompt"].shape == shapes["prompt"]
        assert torch.equal(pictures["prompt"], teacher.prompt.picture())
    if "mapping" in shapes:
        assert torch.equal(pictures["mapping"], teacher.mapping.source_weights())


def test_diverging_loss_stops_the_trial(tiny_config: TrialConfig, tiny_task: Task, artifact: TeacherArtifact) -> None:
    with pytest.raises(NonFiniteLoss, match="epoch"):
        run(tiny_config.replace(distill__lr=1e30, distill__epochs=4), tiny_task, artifact)
