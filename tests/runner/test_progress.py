"""Progress of a search on a console."""

import io
from dataclasses import replace
from itertools import pairwise

import pytest
from helpers.studies import build_space, record_of
from rich.console import Console

from tdmr_ray.records import Pair
from tdmr_ray.runner.events import ASK_EVERY_S
from tdmr_ray.runner.progress import TITLES, Progress, pretty_seconds
from tdmr_ray.tuning.studies import PairStudies


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_counts_best_and_failures(terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=200)
    progress, studies = Progress(console, "val/top1"), PairStudies(build_space())
    progress.begin("search", list(studies.studies), 3)
    for state in ("complete", "pruned", "failed"):
        spec = studies.next_spec()
        assert spec is not None
        progress.started(spec)
        progress.epoch_ended(spec, {"val/top1": 0.875, "epoch": 3})
        record = record_of(spec, state)  # type: ignore[arg-type]
        progress.ended(spec, record.model_copy(update={"error": "out of luck"} if state == "failed" else {}))
    progress.stop()
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert "3 of 3 done" in output
    assert "87.5 %" in output
    assert "out of luck" in output
    row = progress.pairs["glyph_cnn-lcnet_035"]
    assert (row.done, row.running, row.failed) == (2, 0, 1)


@pytest.mark.parametrize(
    ("objective", "values", "shown"),
    [("val/balanced_accuracy", (0.5, 0.75, 0.625), "75.0 %"), ("val/log_loss", (1.5, 0.231, 0.4), "0.231 nats")],
)
def test_progress_shows_the_best_value_with_its_unit(objective: str, values: tuple[float, ...], shown: str) -> None:
    console = Console(file=io.StringIO(), width=200)
    progress, studies = Progress(console, objective), PairStudies(build_space(objective=objective))
    progress.begin("search", list(studies.studies), 1)
    spec = studies.next_spec()
    assert spec is not None
    progress.started(spec)
    for epoch, value in enumerate(values, start=1):
        progress.epoch_ended(spec, {objective: value, "epoch": epoch})
    progress.ended(spec, record_of(spec))
    assert f"best {shown}" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_prints_square_brackets_of_errors_as_they_are(terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=300)
    progress, studies = Progress(console, "val/top1"), PairStudies(build_space())
    spec = studies.next_spec()
    assert spec is not None
    spec = replace(spec, pair=Pair(foundation="[/f]", target="[t]"))
    progress.begin("search", [spec.pair.name], 1)
    error = "OSError: [/mnt/images] is gone; [bold]"
    for _ in range(2):
        progress.started(spec)
        progress.lost(spec, error)
    progress.started(spec)
    progress.ended(spec, record_of(spec, "failed").model_copy(update={"error": error}))
    progress.stop()
    assert console.file.getvalue().count(error) == 3  # type: ignore[attr-defined]


def test_time_left_follows_the_rate_since_the_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), width=200)
    progress, studies = Progress(console, "val/top1"), PairStudies(build_space())
    progress.begin("search", list(studies.studies), 2)
    assert "waiting for a process" in progress._summary()
    spec = studies.next_spec()
    assert spec is not None
    progress.started(spec)
    for epoch, seconds in ((1, 60.0), (2, 64.0)):  # a minute goes by before the first
        clock[0] = seconds
        progress.epoch_ended(spec, {"val/top1": 0.5, "epoch": epoch})
        assert ("left" in progress._summary()) == (epoch == 2)
    epochs_left = 2 * spec.config.num_epochs - 2
    assert f"about {pretty_seconds(4 * epochs_left)} left" in progress._summary()


def test_pretty_seconds_shows_hours_minutes_seconds() -> None:
    assert pretty_seconds(252.4) == "0:04:12"


@pytest.mark.parametrize("title", TITLES.values())
def test_a_line_appears_every_ten_seconds_while_no_epoch_ends(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow teacher: the driver asks every two seconds what the processes do, and nothing else happens."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), width=200)
    progress, studies = Progress(console, "val/top1"), PairStudies(build_space())
    progress.begin(title, list(studies.studies), 2)
    spec = studies.next_spec()
    assert spec is not None
    times = [0.0]
    for step in range(60):
        clock[0] += ASK_EVERY_S
        if step == 10:
            progress.started(spec)
        before = len(console.file.getvalue())  # type: ignore[attr-defined]
        progress.working([(spec, f"teacher, epoch {step}")] if step >= 10 else [])
        times += [clock[0]] if len(console.file.getvalue()) > before else []  # type: ignore[attr-defined]
    assert max(later - earlier for earlier, later in pairwise([*times, clock[0]])) <= 10
    assert f"now: {spec.pair.name}: teacher, epoch" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_table_shows_what_each_process_does() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
    progress, studies = Progress(console, "val/top1"), PairStudies(build_space())
    progress.begin("search", list(studies.studies), 2)
    spec = studies.next_spec()
    assert spec is not None
    rival, teacher = replace(spec, role="scratch"), replace(spec, only_teacher=True)
    progress.working([(spec, "epoch 3 of 9"), (rival, ""), (teacher, "features, view 2 of 9")])
    progress.stop()
    output = console.file.getvalue()  # type: ignore[attr-defined]
    for text in (f"{spec.pair.name}: epoch 3 of 9", f"{spec.pair.name} scratch: starting", "next teacher: features"):
        assert text in output
