"""Listeners that fail, and the search that goes on."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.studies import build_space, record_of

from tdmr_ray.ledger import Ledger
from tdmr_ray.records import TrialRecord
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.guard import Guard, GuardedListener
from tdmr_ray.runner.ledger_writer import LedgerWriter
from tdmr_ray.storage import StoragePath
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.studies import PairStudies
from tdmr_ray.tuning.trial_spec import TrialSpec

EVENTS = ("started", "epoch_ended", "continued", "working", "lost", "ended")


class Faulty(Listener):
    """Raises at one event, and counts all events.

    Args:
        event: The event.
    """

    def __init__(self, event: str) -> None:
        self.event, self.seen = event, list[str]()

    def _see(self, event: str) -> None:
        self.seen.append(event)
        if event == self.event:
            raise ValueError(f"[/red] \udc80 at {event}")

    def started(self, spec: TrialSpec) -> None:
        self._see("started")

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        self._see("epoch_ended")

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        self._see("continued")

    def working(self, doing: Sequence[tuple[TrialSpec, str]]) -> None:
        self._see("working")

    def lost(self, spec: TrialSpec, reason: str) -> None:
        self._see("lost")

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        self._see("ended")


def tell_all(listeners: tuple[Listener, ...], spec: TrialSpec) -> None:
    """Send every event to every listener, as `TrialEvents` does."""
    for listener in listeners:
        listener.started(spec)
        listener.epoch_ended(spec, {"epoch": 1.0, "val/top1": 0.5})
        listener.continued(spec, record_of(spec, "running"))
        listener.working([(spec, "epoch 1")])
        listener.lost(spec, "it was killed")
        listener.ended(spec, record_of(spec))


@pytest.mark.parametrize("event", [*EVENTS, "none"])
def test_a_failing_listener_is_reported_once_and_left_out(event: str, tmp_path: Path) -> None:
    said: list[str] = []
    layout, faulty = RunLayout(tmp_path), Faulty(event)
    guarded = GuardedListener(faulty, Guard("the listener Faulty", said.append, layout.error("listener-0")))
    studies = PairStudies(build_space())
    for _ in range(2):
        spec = studies.next_spec()
        assert spec is not None
        tell_all((guarded, LedgerWriter(layout)), spec)
    assert len(Ledger(layout.records).read()) == 2, "the ledger misses nothing"
    if event == "none":
        assert faulty.seen == [*EVENTS] * 2
        assert not said
        return
    assert faulty.seen == list(EVENTS[: EVENTS.index(event) + 1])
    (message,) = said
    assert message.startswith("the listener Faulty failed and is left out: ValueError: [/red] ")
    assert message.endswith("; traceback in errors/listener-0.txt)")
    assert "in _see" in (tmp_path / "errors/listener-0.txt").read_text()


def test_a_message_that_cannot_be_shown_ends_nothing_either(tmp_path: Path) -> None:
    def fail(*texts: object) -> None:
        raise OSError("the terminal is gone")

    guard = Guard("the display", fail, StoragePath(tmp_path / "display.txt"))
    guard(fail, "a line")
    assert guard.has_failed
