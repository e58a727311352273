"""Tune's events as records for the source of trials and the listeners."""

import re
import time
from dataclasses import dataclass, field
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from tdmr_ray.records import State, TrialRecord
from tdmr_ray.run_layout import TrialFiles
from tdmr_ray.runner.activities import Activities
from tdmr_ray.runner.coordinator import cluster_tables
from tdmr_ray.runner.failure import write_traceback
from tdmr_ray.runner.messages import TrialReport, report_in
from tdmr_ray.runner.process_loss import (
    GONE,
    MAX_RESTARTS,
    ActorRetired,
    cause_of_death,
    is_machine_lost,
    lost_machines,
    reason_of_death,
)
from tdmr_ray.runner.stop_flag import StopFlag
from tdmr_ray.runner.trial_record import Losses, build_record
from tdmr_ray.runner.trial_searcher import TrialSearcher
from tdmr_ray.runner.watchdog import read_hang
from tdmr_ray.space import Resources
from tdmr_ray.terminal import plain
from tdmr_ray.training.metrics import score
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_spec import TrialSpec

ASK_EVERY_S = 2.0
"""Interval at which the driver asks what the processes are doing."""
COLOURS = re.compile(r"\x1b\[\d+m")


@dataclass(eq=False)
class TrialEvents(tune.Callback):
    """Turns Tune's events into records and passes them to the source and the listeners.

    Attributes:
        searcher: Maps Tune's trials to specs.
        files: Locations of the trials' files.
        resources: Resources of a trial, for its cost.
        listeners: Receive every event.
        objective: Metric that makes the curve.
        curves: Score after each epoch, by Tune's id of a trial.
        lost_on: Machines on which a spec lost its process, by the spec's id.
        activities: What the trials' processes are doing.
        asked: Time at which the activities were read last.
    """

    searcher: TrialSearcher
    files: TrialFiles
    resources: Resources
    listeners: tuple[Listener, ...]
    objective: str
    curves: dict[str, list[float]] = field(default_factory=dict)
    lost_on: dict[str, list[str]] = field(default_factory=dict)
    activities: Activities = field(default_factory=lambda: cluster_tables()[1])
    asked: float = 0.0

    @property
    def ending(self) -> StopFlag:
        """Set when the phase is being ended early."""
        return self.searcher.ending

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Tell the listeners what the processes are doing; called by Tune several times a second."""
        now = time.monotonic()
        if now - self.asked < ASK_EVERY_S:
            return
        self.asked, texts = now, self.activities.read()
        doing = [(spec, texts.get(spec.id, "")) for spec in self.searcher.live.values()]
        for listener in self.listeners:
            listener.working(doing)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A process begins with a trial."""
        self.curves[trial.trial_id] = []
        spec = self.searcher.live[trial.trial_id]
        for listener in self._listeners(spec):
            listener.started(spec)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch has ended; a trial that continues from a checkpoint also reports the epochs before it."""
        report = report_in(result)
        spec, curve = self.searcher.live[trial.trial_id], self.curves[trial.trial_id]
        if report.error or spec.only_teacher:
            return
        for metrics in (*report.earlier, report.metrics):
            if self.objective in metrics:  # a refit has no val
                curve.append(score(metrics, self.objective))
            for listener in self.listeners:
                listener.epoch_ended(spec, metrics)
        if not result["done"]:
            record = self._record(spec, trial, report, "running")
            for listener in self.listeners:
                listener.continued(spec, record)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial is over: finished, stopped early, or failed in a way that the process survived."""
        report = report_in(trial.last_result)
        spec = self.searcher.live.pop(trial.trial_id)
        if report.error:
            self._end(spec, trial, "failed", report.error)
        elif report.done or report.epoch >= spec.config.num_epochs:
            self._end(spec, trial, "complete")
        elif not self.ending.is_set:
            self._end(spec, trial, "pruned")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended its process, perhaps before it began; another process continues, but not for ever."""
        if trial.trial_id not in self.curves:
            self.on_trial_start(iteration, trials, trial)
        spec = self.searcher.live.pop(trial.trial_id)
        hung = read_hang(self.files.stack(spec.id))
        if hung:
            self._end(spec, trial, "failed", f"an epoch took longer than {self.resources.trial_timeout:g} s: {hung}")
            return
        cause = cause_of_death(trial)
        if isinstance(cause, ActorRetired):
            self._requeue(spec, trial)
            return
        reason, may_continue = reason_of_death(cause)
        restarts = self._losses(spec).restarts
        machine = GONE if is_machine_lost(cause) else report_in(trial.last_result).machine
        if machine not in lost_machines() and not (may_continue and restarts < MAX_RESTARTS):
            again = f" ({restarts + 1} times)" if restarts else ""
            self._end(spec, trial, "failed", f"the trial's process died{again}: {reason}{self._traceback(spec, cause)}")
            return
        self.lost_on.setdefault(spec.id, []).append(machine)
        self._requeue(spec, trial)
        for listener in () if self.ending.is_set else self._listeners(spec):
            listener.lost(spec, reason)

    def _traceback(self, spec: TrialSpec, cause: Exception | None) -> str:
        """Keep what Ray knows of a death beyond the reason; return a phrase that names the file, or ''."""
        text = COLOURS.sub("", str(cause or "")).strip()
        return write_traceback(text, self.files.error(spec.id)) if "\n" in text else ""

    def _losses(self, spec: TrialSpec) -> Losses:
        lost_on = self.lost_on.get(spec.id, [])
        lost = lost_machines() if lost_on else set()
        moves = sum(machine in lost for machine in lost_on)
        return Losses(moves, len(lost_on) - moves)

    def _requeue(self, spec: TrialSpec, trial: Trial) -> None:
        """Hand the spec to another process."""
        self.curves.pop(trial.trial_id)
        self.searcher.lost.append(spec)

    def _end(self, spec: TrialSpec, trial: Trial, state: State, error: str = "") -> None:
        record = self._record(spec, trial, report_in(trial.last_result), state, error)
        self.curves.pop(trial.trial_id, None)
        self.searcher.source.tell(spec, record)
        for listener in self._listeners(spec):
            listener.ended(spec, record)

    def _listeners(self, spec: TrialSpec) -> tuple[Listener, ...]:
        """The listeners for a spec: none if it only makes a teacher, which has no record."""
        return () if spec.only_teacher else self.listeners

    def _record(self, spec: TrialSpec, trial: Trial, report: TrialReport, state: State, error: str = "") -> TrialRecord:
        return build_record(
            spec,
            report,
            state=state,
            curve=self.curves.get(trial.trial_id, []),
            resources=self.resources,
            losses=self._losses(spec),
            error=plain(error),
        )
