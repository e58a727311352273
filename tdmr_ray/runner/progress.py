"""Progress of a search for its user: a live table at a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tdmr_ray.durations import pretty_seconds
from tdmr_ray.records import TDMR, Phase, TrialRecord
from tdmr_ray.terminal import foreign, say, show
from tdmr_ray.training.metrics import METRICS, metric_name, with_unit
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_spec import TrialSpec

TITLES: dict[Phase, str] = {
    "search": "search",
    "tune": "learning rates of the rivals",
    "confirm": "confirmation",
    "refit": "refit with the labels of val",
    "cv": "cross-validation",
}
"""Names of the phases for people."""
LINE_EVERY_S = 8.0
"""Interval after which the next event or news prints a plain line, so that there is one every ten seconds."""


@dataclass
class PairState:
    """Counts of a pair's trials, and the best value of the objective."""

    done: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    best: float | None = None


class Progress(Listener):
    """Listener that shows the progress of a phase.

    Args:
        console: Console for the table or the lines.
        objective: Metric whose best value is shown.
        spent: Returns what is spent of the search's budget; '' without one.
    """

    def __init__(self, console: Console, objective: str, spent: Callable[[], str] = str) -> None:
        self.console, self.objective, self.spent = console, objective, spent
        self.pairs: dict[str, PairState] = {}
        self.title, self.total, self.finished = "", 0, 0
        self.work: dict[str, float] = {}
        self.parts: dict[str, float] = {}
        self.begun = self.last_line = time.monotonic()
        self.first: tuple[float, float] | None = None
        """Time at which the first epoch of the phase ended, and the work that was done then."""
        self.live: Live | None = None
        self.doing: list[str] = []
        """What each process does."""

    def begin(self, title: str, names: list[str], total: int, work: dict[str, float] | None = None) -> None:
        """Start a phase with an empty table.

        Args:
            title: Name of the phase.
            names: Names of the rows.
            total: Number of trials.
            work: Length of each trial in any unit, by its id; None counts all trials the same.
        """
        self.stop()
        self.title, self.total, self.finished = title, total, 0
        self.work, self.parts, self.doing = work or {}, {}, []
        self.pairs = {name: PairState() for name in names}
        self.begun = time.monotonic()
        self.last_line, self.first = self.begun, None
        if self.console.is_terminal:
            self.live = Live(get_renderable=self.render, console=self.console, refresh_per_second=4)
            self.live.start()

    def stop(self) -> None:
        """Leave the last state of the table on the screen."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def started(self, spec: TrialSpec) -> None:
        """Count a running trial."""
        self._row(spec).running += 1

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """Update the best value and the work done."""
        row = self._row(spec)
        self.parts[spec.id] = metrics["epoch"] / spec.config.num_epochs
        self.first = self.first or (time.monotonic(), self._done())
        if spec.role == TDMR and self.objective in metrics:
            choose = max if METRICS[metric_name(self.objective)].greater_is_better else min
            found = metrics[self.objective]
            row.best = found if row.best is None else choose(row.best, found)
        self._line(force=False)

    def working(self, doing: Sequence[tuple[TrialSpec, str]]) -> None:
        """Show what each process does, also where no epoch ends for a long time."""
        self.doing = [_describe(spec, text) for spec, text in doing]
        self._line(force=False)

    def lost(self, spec: TrialSpec, reason: str) -> None:
        """Show the reason of the loss."""
        self._row(spec).running -= 1
        self._print("lost", "yellow", spec, f"{reason}; it goes on in another process")

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Count a finished trial; show a failure at once."""
        row = self._row(spec)
        row.running -= 1
        row.done += 1
        row.pruned += record.state == "pruned"
        row.failed += record.state == "failed"
        self.finished += 1
        self.parts[spec.id] = 1.0
        if record.error:
            self._print("failed", "red", spec, record.error)
        self._line(force=self.finished == self.total)

    def render(self) -> Group:
        """Build the table."""
        table = Table(title=self.title, title_justify="left")
        for name in ("pair", "done", "running", "stopped early", "failed", f"best {self.objective}"):
            table.add_column(name, justify="left" if name == "pair" else "right")
        for name, row in self.pairs.items():
            best = "" if row.best is None else with_unit(row.best, self.objective)
            table.add_row(foreign(name), str(row.done), str(row.running), str(row.pruned), str(row.failed), best)
        return Group(table, *(foreign(f"  {text}") for text in self.doing), foreign(self._summary()))

    def _print(self, word: str, style: str, spec: TrialSpec, text: str) -> None:
        """Print a line on a trial."""
        line = Text.assemble((word, style), foreign(f" {spec.pair.name} {spec.id}: {text}"))
        show(self.console, line)

    def _row(self, spec: TrialSpec) -> PairState:
        return self.pairs.setdefault(spec.pair.name, PairState())

    def _done(self) -> float:
        return sum(part * self.work.get(name, 1.0) for name, part in self.parts.items())

    def _left(self) -> str:
        """Estimate the time left from the rate since the first epoch; before, processes and teachers were made."""
        if not any(row.running or row.done for row in self.pairs.values()):
            return ", waiting for a process or a machine to start"
        first_s, first = self.first or (0.0, self._done())
        since = self._done() - first
        if not since:
            return ""
        whole = sum(self.work.values()) or float(self.total)
        return f", about {pretty_seconds((time.monotonic() - first_s) * (whole - first - since) / since)} left"

    def _summary(self) -> str:
        elapsed = time.monotonic() - self.begun
        budget = self.spent() if self.title == TITLES["search"] else ""
        spent = f"; spent {budget}" if budget else ""
        return f"{self.finished} of {self.total} done in {pretty_seconds(elapsed)}{self._left()}{spent}"

    def _line(self, *, force: bool) -> None:
        now = time.monotonic()
        if self.live is not None or (not force and now - self.last_line < LINE_EVERY_S):
            return
        self.last_line = now
        best = "; ".join(
            f"{name} {row.done} done" + ("" if row.best is None else f", best {with_unit(row.best, self.objective)}")
            for name, row in self.pairs.items()
        )
        now_doing = f" | now: {'; '.join(self.doing)}" if self.doing else ""
        line = f"{self.title}: {self._summary()} | {best}{now_doing}"
        say(self.console, line)


def _describe(spec: TrialSpec, text: str) -> str:
    """Return what a process does for a trial; it may do so before its own first words arrive."""
    name = "next teacher" if spec.only_teacher else spec.pair.name
    role = "" if spec.role == TDMR or spec.only_teacher else f" {spec.role}"
    return f"{name}{role}: {text or 'starting'}"
