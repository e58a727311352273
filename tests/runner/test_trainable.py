"""Exceptions become a trial's state in one place."""

from pathlib import Path
from typing import Any

import pytest
from conftest import without_times

from tdmr_ray.errors import InputError, NonFiniteLoss
from tdmr_ray.records import Note
from tdmr_ray.runner import trial
from tdmr_ray.runner.events import ActorRetired
from tdmr_ray.runner.trainable import MAX_TRIALS_PER_ACTOR, TrialActor
from tdmr_ray.training.config import TrialConfig


def place(tmp_path: Path, **values: Any) -> dict[str, Any]:
    config = TrialConfig().with_values({"method": "scratch", "target.name": "lcnet_035", "data.shots": 5, **values})
    return {
        "id": f"search-{config.key()}",
        "checkpoint": str(tmp_path / "checkpoints" / "trial.pt"),
        "stack": str(tmp_path / "checkpoints" / "trial.stack"),
        "timeout_s": 600.0,
        "config": config.model_dump(mode="json"),
        "pair": "lcnet_035",
        "artifact": "",
        "data": "",
        "only_teacher": False,
        "finalist": False,
        "store": str(tmp_path / "store"),
        "store_bytes": None,
        "shared_store": "",
        "copies": [],
        "artifacts": str(tmp_path / "artifacts"),
        "threads": 1,
        "gpu": 0.0,
        "workers": 1,
        "min_workers": None,
        "reprogram_workers": 1,
        "notes": str(tmp_path / "notes"),
    }


@pytest.fixture
def actor(tmp_path: Path) -> TrialActor:
    actor = TrialActor.__new__(TrialActor)
    actor.setup(place(tmp_path, **{"distill.epochs": 1}))
    return actor


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(trial, "Run", run)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NonFiniteLoss("loss became NaN"), "loss became NaN"),
        (InputError("here", "no such thing"), "here: 1 problem\n  no such thing"),
        (ValueError("odd"), "ValueError: odd (test_trainable.py:"),
    ],
    ids=["ours", "the user's", "anything else"],
)
def test_a_trial_that_throws_ends_with_its_reason_and_the_actor_goes_on(
    error: Exception, reason: str, actor: TrialActor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        fail_with(error, patched)
        result = actor.step()
    assert result["error"].startswith(reason)
    assert (result["done"], result["metrics"]) == (True, {})
    assert actor.reset_config(place(tmp_path, **{"distill.epochs": 1}))
    result = actor.step()
    assert (result["error"], result["done"], result["epoch"]) == ("", True, 1)


def test_an_actor_without_memory_is_not_trusted_any_more(actor: TrialActor, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(MemoryError(), monkeypatch)
    with pytest.raises(MemoryError):
        actor.step()


def test_an_actor_is_replaced_after_many_trials(actor: TrialActor, tmp_path: Path) -> None:
    for _ in range(MAX_TRIALS_PER_ACTOR - 1):
        assert actor.reset_config(place(tmp_path))
    with pytest.raises(ActorRetired, match="are enough"):
        actor.reset_config(place(tmp_path))


def test_only_a_finalist_reads_test_and_keeps_its_weights(tmp_path: Path) -> None:
    for finalist in (False, True):
        actor = TrialActor.__new__(TrialActor)
        actor.setup({**place(tmp_path, **{"distill.epochs": 1}), "finalist": finalist})
        result = actor.step()
        assert ("test/top1" in result["metrics"]) is finalist
        assert (tmp_path / "artifacts" / "target.safetensors").exists() is finalist


@pytest.mark.parametrize(("asked", "used"), [("auto", "fp32"), ("bf16", "bf16")])
def test_a_trial_says_in_which_precision_it_ran(asked: str, used: str, tmp_path: Path) -> None:
    result = new_actor(place(tmp_path, **{"distill.epochs": 1, "precision": asked})).step()
    assert (result["error"], result["device"], result["precision"]) == ("", "cpu", used)


def step_to_the_end(actor: TrialActor) -> list[dict[str, Any]]:
    results = []
    while not results or not results[-1]["done"]:
        results.append(actor.step())
    return results


def what_counts(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "metrics": without_times(result["metrics"]), "seconds": 0.0, "earlier": []}


def new_actor(spec: dict[str, Any]) -> TrialActor:
    actor = TrialActor.__new__(TrialActor)
    actor.setup(spec)
    return actor


def test_another_process_says_the_last_epoch_again_and_goes_on(tmp_path: Path) -> None:
    spec = place(tmp_path, **{"distill.epochs": 4})
    expected = [what_counts(result) for result in step_to_the_end(new_actor(spec))]
    Path(spec["checkpoint"]).unlink()
    first = new_actor(spec)
    said = [first.step() for _ in range(2)]
    second = step_to_the_end(new_actor(spec))
    assert [what_counts(result) for result in second] == expected[1:]
    assert second[0]["earlier"] == [said[0]["metrics"]]
    assert second[0]["metrics"] == said[1]["metrics"]
    assert [result["earlier"] for result in second[1:]] == [[], []]


def test_with_a_damaged_checkpoint_a_trial_begins_anew_and_says_so(tmp_path: Path) -> None:
    spec = place(tmp_path, **{"distill.epochs": 2})
    new_actor(spec).step()
    Path(spec["checkpoint"]).write_bytes(b"nonsense")
    results = step_to_the_end(new_actor(spec))
    assert [result["epoch"] for result in results] == [1, 2]
    assert results[-1]["notes"][0].text.startswith("the trial started again: trial.pt cannot be read")


def test_on_a_full_disk_a_trial_goes_on_without_checkpoints_and_says_so(tmp_path: Path) -> None:
    spec = place(tmp_path, **{"distill.epochs": 2})
    draft = Path(spec["checkpoint"]).with_suffix(".draft")
    draft.parent.mkdir()
    draft.symlink_to("/dev/full")
    results = step_to_the_end(new_actor(spec))
    assert results[-1]["error"] == ""
    assert results[-1]["notes"] == [
        Note(kind="checkpoint", text="no checkpoint could be written: No space left on device")
    ]


def test_a_step_in_time_leaves_nothing(tmp_path: Path) -> None:
    spec = place(tmp_path, **{"distill.epochs": 1})
    step_to_the_end(new_actor(spec))
    assert not Path(spec["stack"]).exists()
