"""What the processes of a search are doing."""

import pytest

from tdmr_ray.runner.activities import MAX_AGE_S, TELL_EVERY_S, ActivityTable, Teller
from tdmr_ray.runner.coordinator import Coordinator
from tdmr_ray.training.activity import doing, watched_by


def test_the_last_news_of_each_trial_count_until_it_ends() -> None:
    table = ActivityTable()
    table.tell("a", "epoch 1")
    table.tell("b", "features")
    table.tell("a", "epoch 2")
    assert table.read() == {"a": "epoch 2", "b": "features"}
    table.tell("a", "")
    table.tell("never heard of", "")
    assert table.read() == {"b": "features"}


def test_news_of_a_dead_process_expire() -> None:
    clock = [0.0]
    table = ActivityTable(lambda: clock[0])
    table.tell("a", "epoch 1")
    clock[0] = MAX_AGE_S + 1
    table.tell("b", "epoch 1")
    assert set(table.read()) == {"b"}


def test_a_process_tells_at_most_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    table = ActivityTable()
    teller = Teller(table, "a")
    for number in range(5):
        teller(f"batch {number}")
        clock[0] += TELL_EVERY_S / 2
    assert table.read() == {"a": "batch 4"}
    clock[0] -= TELL_EVERY_S / 2
    teller("batch 5")
    assert table.read() == {"a": "batch 4"}
    teller.stop()
    assert table.read() == {}


def test_only_a_watcher_hears_what_is_done() -> None:
    heard: list[str] = []
    doing("nobody listens")
    with watched_by(heard.append):
        doing("epoch 1")
        with watched_by(lambda text: None):
            doing("for somebody else")
        doing("epoch 2")
    doing("nobody listens any more")
    assert heard == ["epoch 1", "epoch 2"]


def test_the_coordinator_has_leases_and_activities() -> None:
    coordinator = Coordinator()
    coordinator.tell("a", "epoch 1")
    assert coordinator.take("key", "first")
    assert not coordinator.take("key", "second")
    assert coordinator.read() == {"a": "epoch 1"}
