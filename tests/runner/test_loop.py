"""Many short trials in Tune's actors, with a real Ray and trials without work."""

import errno
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import tune

from tdmr_ray.errors import SearchStopped
from tdmr_ray.records import TrialRecord
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.cluster import ray_session
from tdmr_ray.runner.guard import Guard, GuardedListener
from tdmr_ray.runner.loop import _own_errors, run_trials
from tdmr_ray.runner.messages import TrialReport, WorkerSettings, assignment_in
from tdmr_ray.runner.process_loss import ActorRetired
from tdmr_ray.space import Resources
from tdmr_ray.storage import StoragePath
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.networks import foundation_digest
from tdmr_ray.training.sections import FoundationConfig
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_source import Queue
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec

pytestmark = pytest.mark.slow
STARTS_S, LASTS_S, MOST_TRIALS = 1.0, 0.25, 4


class QuickTrial(tune.Trainable):
    """Starts slowly, ends quickly, and does only a few trials."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start slowly."""
        time.sleep(STARTS_S)
        self.count = 0
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial, but not too many."""
        self.spec, self.count = assignment_in(new_config).spec, self.count + 1
        if self.count > MOST_TRIALS:
            raise ActorRetired("enough")
        return True

    def step(self) -> dict[str, Any]:
        """Run the only epoch; seed 99 fills the memory."""
        time.sleep(LASTS_S)
        if self.spec.config.seed == 99:
            raise MemoryError("too large")
        metrics = {"epoch": 1.0, "val/top1": 0.5}
        return TrialReport(epoch=1, done=True, metrics=metrics, seconds=LASTS_S, device=str(os.getpid())).as_result()


class Watch(Listener):
    """Listener that keeps records and losses."""

    def __init__(self) -> None:
        self.records: list[TrialRecord] = []
        self.losses: list[str] = []

    def lost(self, spec: TrialSpec, reason: str) -> None:
        """Keep the reason."""
        self.losses.append(reason)

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Keep the record."""
        self.records.append(record)


@pytest.fixture(scope="module", autouse=True)
def two_cores() -> Iterator[None]:
    with ray_session(None, verbose=False):
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield


def run_quickly(folder: Path, *seeds: int, others: tuple[Listener, ...] = ()) -> Watch:
    config = TrialConfig().with_values({"distill.epochs": 1, "foundation.name": "glyph_cnn"})
    specs = [build_spec(config.model_copy(update={"seed": seed}), phase="search") for seed in seeds]
    watch = Watch()
    run_trials(
        Queue(specs),
        resources=Resources(),
        slots=2,
        settings=WorkerSettings(folder / "store"),
        layout=RunLayout(folder),
        objective="val/top1",
        listeners=(*others, watch),
        stop_conditions=(),
        trainable=QuickTrial,
    )
    return watch


def test_short_trials_fill_all_slots_and_retired_actors_are_replaced(
    tmp_path: Path,
) -> None:
    watch = run_quickly(tmp_path, *range(15))
    assert [record.state for record in watch.records] == ["complete"] * 15
    assert len({record.id for record in watch.records}) == 15
    assert {record.weights for record in watch.records} == {foundation_digest(FoundationConfig(name="glyph_cnn"))}
    assert not watch.losses
    devices = [record.device for record in watch.records]
    assert max(Counter(devices).values()) <= MOST_TRIALS
    turns = [device for device, _ in groupby(devices)]
    assert len(turns) > len(set(devices)), "one actor after the other, as if there were one slot"


def test_a_trial_that_fills_the_memory_is_not_restarted(tmp_path: Path) -> None:
    watch = run_quickly(tmp_path, 0, 99, 1)
    failed = [record for record in watch.records if record.state == "failed"]
    (record,) = failed
    file = f"errors/{record.id}.txt"
    assert record.error == f"the trial's process died: MemoryError: too large; traceback in {file}"
    assert "in step" in (tmp_path / file).read_text()
    assert len(watch.records) == 3


class Broken(Listener):
    """Listener that cannot write."""

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Fail."""
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_listener_that_fails_ends_the_trials_unless_they_can_do_without_it(tmp_path: Path) -> None:
    said: list[str] = []
    guarded = GuardedListener(Broken(), Guard("the display", said.append, StoragePath(tmp_path / "display.txt")))
    watch = run_quickly(tmp_path, 0, 1, 2, others=(guarded,))
    assert len(watch.records) == 3
    assert len(said) == 1
    with pytest.raises(OSError, match="No space left on device"):
        run_quickly(tmp_path, 0, 1, 2, others=(Broken(),))


def fail_like_tune() -> None:
    """Raise what Tune's manager of actors makes of an error that it does not know."""
    try:
        raise ray.exceptions.OutOfMemoryError("3 worker(s) were killed due to the node running low on memory")
    except ray.exceptions.OutOfMemoryError as error:
        raise RuntimeError("Caught unexpected exception") from error


def test_a_machine_without_memory_ends_the_trials_with_one_message() -> None:
    with pytest.raises(SearchStopped, match="short of memory: use fewer at a time"), _own_errors():
        fail_like_tune()
