"""Trials in a worker process: steps, failures, checkpoints."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.assignments import short_trial
from helpers.metrics import without_times
from torch.nn.functional import linear

from tdmr_ray.errors import InputError, NonFiniteLoss
from tdmr_ray.records import Note
from tdmr_ray.runner import trial
from tdmr_ray.runner.messages import Assignment, TrialReport, report_in
from tdmr_ray.runner.process_loss import ActorRetired
from tdmr_ray.runner.trainable import MAX_TRIALS_PER_ACTOR, TrialActor
from tdmr_ray.training.fit import Run

ONE_EPOCH = {"distill.epochs": 1}


def new_actor(assignment: Assignment) -> TrialActor:
    actor = TrialActor.__new__(TrialActor)
    actor.setup(assignment.as_config())
    return actor


def step(actor: TrialActor) -> TrialReport:
    return report_in(actor.step())


def step_to_the_end(actor: TrialActor) -> list[TrialReport]:
    reports = [step(actor)]
    while not reports[-1].done:
        reports.append(step(actor))
    return reports


def comparable(report: TrialReport) -> TrialReport:
    return replace(report, metrics=without_times(report.metrics), seconds=0.0, earlier=())


@pytest.fixture
def actor(tmp_path: Path) -> TrialActor:
    return new_actor(short_trial(tmp_path, **ONE_EPOCH))


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(trial, "Run", run)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NonFiniteLoss("loss became NaN"), "loss became NaN"),
        (InputError("here", "no such thing"), "here: 1 problem\n  no such thing"),
        (ValueError("odd"), "ValueError: odd (tdmr_ray/runner/trial.py:"),
    ],
    ids=["diverged", "wrong input", "anything else"],
)
def test_an_exception_ends_the_trial_with_its_reason_and_the_actor_continues(
    error: Exception, reason: str, actor: TrialActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        fail_with(error, patched)
        report = step(actor)
    assert report.error.startswith(reason)
    assert (report.done, report.metrics) == (True, {})
    assert actor.reset_config(short_trial(tmp_path, **ONE_EPOCH).as_config())
    report = step(actor)
    assert (report.error, report.done, report.epoch) == ("", True, 1)


def test_a_failure_inside_torch_names_our_innermost_frame_and_keeps_the_traceback(
    actor: TrialActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "run_epoch", lambda run: linear(torch.ones(2, 3), torch.ones(4, 5)))
    monkeypatch.setattr(trial.Trial, "_save", lambda self, run: None)
    report = step(actor)
    assert report.error.startswith("RuntimeError: ")
    assert "shapes cannot be multiplied" in report.error
    assert "(tdmr_ray/runner/trial.py:" in report.error
    assert report.error.endswith("; traceback in errors/trial.txt)")
    kept = (tmp_path / "errors/trial.txt").read_text()
    assert kept.startswith("Traceback (most recent call last)")
    assert "test_trainable.py" in kept


def test_an_actor_without_memory_ends(actor: TrialActor, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(MemoryError(), monkeypatch)
    with pytest.raises(MemoryError):
        actor.step()


def test_an_actor_is_replaced_after_many_trials(actor: TrialActor, tmp_path: Path) -> None:
    for _ in range(MAX_TRIALS_PER_ACTOR - 1):
        assert actor.reset_config(short_trial(tmp_path).as_config())
    with pytest.raises(ActorRetired, match="are enough"):
        actor.reset_config(short_trial(tmp_path).as_config())


@pytest.mark.parametrize("finalist", [False, True])
def test_only_a_finalist_reads_test_and_keeps_its_weights(finalist: bool, tmp_path: Path) -> None:
    report = step(new_actor(short_trial(tmp_path, finalist=finalist, **ONE_EPOCH)))
    assert ("test/top1" in report.metrics) is finalist
    assert (report.artifacts == "trial") is finalist
    assert (tmp_path / "finalists/trial/target.safetensors").exists() is finalist


@pytest.mark.parametrize(("configured", "used"), [("auto", "fp32"), ("bf16", "bf16")])
def test_a_trial_reports_the_precision_it_used(configured: str, used: str, tmp_path: Path) -> None:
    report = step(new_actor(short_trial(tmp_path, precision=configured, **ONE_EPOCH)))
    assert (report.error, report.device, report.precision) == ("", "cpu", used)


def test_another_process_reports_the_last_epoch_again_and_continues(tmp_path: Path) -> None:
    assignment = short_trial(tmp_path, **{"distill.epochs": 4})
    expected = [comparable(report) for report in step_to_the_end(new_actor(assignment))]
    assignment.files.checkpoint("trial").remove()
    first = new_actor(assignment)
    reports = [step(first) for _ in range(2)]
    second = step_to_the_end(new_actor(assignment))
    assert [comparable(report) for report in second] == expected[1:]
    assert second[0].earlier == (reports[0].metrics,)
    assert second[0].metrics == reports[1].metrics
    assert [report.earlier for report in second[1:]] == [(), ()]


def test_a_trial_with_a_damaged_checkpoint_starts_again_with_a_note(tmp_path: Path) -> None:
    assignment = short_trial(tmp_path, **{"distill.epochs": 2})
    new_actor(assignment).step()
    assignment.files.checkpoint("trial").write_bytes(b"nonsense")
    reports = step_to_the_end(new_actor(assignment))
    assert [report.epoch for report in reports] == [1, 2]
    note = reports[-1].notes[0]
    assert note.kind == "checkpoint"
    assert note.text.startswith("the trial started again: trial.pt is unreadable")


def test_a_trial_on_a_full_disk_continues_without_checkpoints_and_with_a_note(tmp_path: Path) -> None:
    assignment = short_trial(tmp_path, **{"distill.epochs": 2})
    draft = Path(assignment.files.checkpoint("trial").path).with_suffix(".draft")
    draft.parent.mkdir()
    draft.symlink_to("/dev/full")
    reports = step_to_the_end(new_actor(assignment))
    assert reports[-1].error == ""
    text = "no checkpoint could be written: No space left on device"
    assert reports[-1].notes == (Note(kind="checkpoint", text=text),)


def test_a_step_in_time_leaves_no_stack(tmp_path: Path) -> None:
    assignment = short_trial(tmp_path, **ONE_EPOCH)
    step_to_the_end(new_actor(assignment))
    assert not assignment.files.stack("trial").exists()
