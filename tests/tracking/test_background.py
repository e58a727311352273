"""Events in a thread of their own: order, failures and the wait at the end."""

from pathlib import Path
from threading import Event

import pytest

from tdmr_ray.runner.guard import Guard, GuardedListener
from tdmr_ray.storage import StoragePath
from tdmr_ray.testing import ListenerContract
from tdmr_ray.testing.listeners import metrics_of, record_of
from tdmr_ray.tracking.background import Background
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec

SPEC = build_spec(TrialConfig(), phase="search")


class Slow(Listener):
    """Waits at the first event, and may fail at an epoch."""

    def __init__(self, *, fails: bool = False) -> None:
        self.may_begin, self.fails, self.seen = Event(), fails, list[str]()

    def search_begun(self, search: SearchInfo) -> None:
        self.may_begin.wait(60)
        self.seen.append("search_begun")

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        self.seen.append(f"epoch {metrics['epoch']:g}")
        if self.fails:
            raise ConnectionError("the server is away")

    def search_reported(self, *, interrupted: bool) -> None:
        self.seen.append("search_reported")


class TestContract(ListenerContract):
    @pytest.fixture
    def fresh(self) -> Listener:
        return Background(Listener())


def test_trials_do_not_wait_and_the_end_of_a_search_does(tmp_path: Path) -> None:
    slow = Slow()
    background = Background(slow)
    background.search_begun(SearchInfo("a", tmp_path, "val/top1", {}))
    for epoch in (1, 2):
        background.epoch_ended(SPEC, metrics_of(epoch))
    assert not slow.seen
    slow.may_begin.set()
    background.search_reported(interrupted=False)
    assert slow.seen == ["search_begun", "epoch 1", "epoch 2", "search_reported"]
    assert background.label == "Slow"


def test_failure_is_reported_once_and_nothing_follows(tmp_path: Path) -> None:
    said: list[str] = []
    slow = Slow(fails=True)
    guard = Guard("the listener Slow", said.append, StoragePath(tmp_path / "listener.txt"))
    guarded = GuardedListener(Background(slow), guard)
    guarded.search_begun(SearchInfo("a", tmp_path, "val/top1", {}))
    slow.may_begin.set()
    guarded.epoch_ended(SPEC, metrics_of(1))
    guarded.ended(SPEC, record_of(SPEC, 1, "complete"))
    guarded.search_reported(interrupted=False)
    guarded.search_reported(interrupted=False)
    assert slow.seen == ["search_begun", "epoch 1"]
    (message,) = said
    assert message.startswith("the listener Slow failed and is left out: ConnectionError: the server is away (")


def test_a_listener_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    slow = Slow()
    background = Background(slow, patience_s=0.01)
    background.search_begun(SearchInfo("a", tmp_path, "val/top1", {}))
    with pytest.raises(TimeoutError, match=r"not ready 0\.01 s after the end of the search"):
        background.search_reported(interrupted=False)
    slow.may_begin.set()
