"""MLflow: a run for the search, and inside it one for each trial.

Server, experiment and credentials come from MLflow's own environment variables, such as MLFLOW_TRACKING_URI and
MLFLOW_EXPERIMENT_NAME; the experiment is called like the search unless they name another one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import time
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.environment_variables import (
    MLFLOW_EXPERIMENT_ID,
    MLFLOW_EXPERIMENT_NAME,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from tdmr_ray.records import State, TrialRecord
from tdmr_ray.run_layout import BEST, RunLayout
from tdmr_ray.tracking.values import as_text, parameters_of, report_files, save_id, saved_id, tags_of
from tdmr_ray.training.config import flatten
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import TrialSpec

NAME = "mlflow"
CURVE = "curve"
"""Metric with the ledger's field of that name: the best score so far, after each epoch."""
STATUS: Mapping[State, str] = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED", "running": "RUNNING"}
BATCH = 100
"""Most parameters that a server takes at once."""
RETRIES = 2
"""Attempts to reach an absent server unless MLFLOW_HTTP_REQUEST_MAX_RETRIES says otherwise; MLflow's 7 take minutes."""


@dataclass
class _Trial:
    """What a trial's run holds.

    Attributes:
        run: Id of the run.
        epochs: Number of epochs with metrics.
        points: Number of points of the curve.
        last: Metrics of the last epoch.
    """

    run: str
    epochs: int = 0
    points: int = 0
    last: Mapping[str, float] | None = None


class MLflowTracker(Listener):
    """Logs parameters, curves, final figures and the report."""

    def search_begun(self, search: SearchInfo) -> None:
        """Open the run of the search, again if it continues, and add trials that ended while nobody logged."""
        if not MLFLOW_HTTP_REQUEST_MAX_RETRIES.is_set():
            MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(RETRIES)
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
        self.client, self.layout = MlflowClient(), RunLayout(search.root)
        self.trials: dict[str, _Trial] = {}
        run = self._known_run(saved_id(search.root, NAME))
        if run is None:
            tags = {MLFLOW_RUN_NAME: search.name, "objective": search.objective}
            run = self.client.create_run(self._experiment(search.name), tags=tags)
            save_id(search.root, NAME, run.info.run_id)
        self.experiment, self.run = run.info.experiment_id, run.info.run_id
        self.client.update_run(self.run, status="RUNNING")
        self._log_parameters(self.run, flatten(search.space))
        self._add_ended(search.records)

    def started(self, spec: TrialSpec) -> None:
        """Open the run of a trial."""
        self.client.update_run(self._open(spec).run, status="RUNNING")

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """Log an epoch's metrics; a trial that continues from a checkpoint reports its first epochs again."""
        trial, epoch = self._open(spec), int(metrics["epoch"])
        trial.last = metrics
        if epoch > trial.epochs:
            trial.epochs = epoch
            self._log_metrics(trial.run, metrics, epoch)

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Log the last point of the curve."""
        self._log_curve(self._open(spec), record)

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Log what is known of a trial only at its end, and close its run."""
        self._close(self._open(spec), record)

    def search_reported(self, *, interrupted: bool) -> None:
        """Log the report, the ledger and the shipped models, and close the run of the search."""
        for path in report_files(self.layout):
            self.client.log_artifact(self.run, str(path))
        if self.layout.best.is_dir():
            self.client.log_artifacts(self.run, str(self.layout.best), BEST)
        for trial in self.trials.values() if interrupted else ():
            self.client.set_terminated(trial.run, "KILLED")
        self.client.set_terminated(self.run, "KILLED" if interrupted else "FINISHED")

    def _experiment(self, name: str) -> str:
        if MLFLOW_EXPERIMENT_ID.get():
            return str(MLFLOW_EXPERIMENT_ID.get())
        name = MLFLOW_EXPERIMENT_NAME.get() or name
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name))

    def _known_run(self, run_id: str) -> Run | None:
        """Return a run; None if the server does not have it, or has deleted it."""
        try:
            run = self.client.get_run(run_id) if run_id else None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return run if run and run.info.lifecycle_stage == "active" else None

    def _add_ended(self, records: Iterable[TrialRecord]) -> None:
        """Log the trials that ended when the tracker was not there to see it."""
        closed = {run.data.tags["trial"] for run in self._runs("attributes.end_time > 0")}
        for record in records:
            if record.state != "running" and record.id not in closed:
                self._close(self._open(record), record)

    def _runs(self, condition: str) -> list[Run]:
        """Return the runs of trials that fulfil a condition."""
        inside, found, token = f"tags.{MLFLOW_PARENT_RUN_ID} = '{self.run}'", list[Run](), None
        while token != "":
            page = self.client.search_runs([self.experiment], f"{inside} and {condition}", page_token=token)
            found, token = [*found, *page], page.token or ""
        return found

    def _open(self, trial: TrialSpec | TrialRecord) -> _Trial:
        """Return the run of a trial that is not closed: one that is known, or from an earlier process, or a new one."""
        if trial.id not in self.trials:
            tags, known = tags_of(trial), self._runs(f"tags.trial = '{trial.id}'")
            if known:
                run = known[0].info.run_id
                epochs, points = (len(self.client.get_metric_history(run, name)) for name in ("epoch", CURVE))
                self.trials[trial.id] = _Trial(run, epochs, points)
            else:
                tags = {**tags, MLFLOW_PARENT_RUN_ID: self.run, MLFLOW_RUN_NAME: trial.id}
                run = self.client.create_run(self.experiment, tags=tags).info.run_id
                self.trials[trial.id] = _Trial(run)
                self._log_parameters(run, parameters_of(trial))
        return self.trials[trial.id]

    def _close(self, trial: _Trial, record: TrialRecord) -> None:
        self._log_curve(trial, record)
        last, epoch = trial.last or {}, int(record.metrics.get("epoch", 0))
        new = {name: value for name, value in record.metrics.items() if last.get(name) != value}
        self._log_metrics(trial.run, new, epoch)
        self.client.log_batch(trial.run, tags=[RunTag(name, text) for name, text in _final_tags(record).items()])
        self.client.set_terminated(trial.run, STATUS[record.state])
        self.trials.pop(record.id)

    def _log_curve(self, trial: _Trial, record: TrialRecord) -> None:
        new = list(enumerate(record.curve, start=1))[trial.points :]
        self.client.log_batch(trial.run, [Metric(CURVE, value, _now_ms(), step) for step, value in new])
        trial.points += len(new)

    def _log_metrics(self, run: str, metrics: Mapping[str, float], epoch: int) -> None:
        self.client.log_batch(run, [Metric(name, value, _now_ms(), epoch) for name, value in metrics.items()])

    def _log_parameters(self, run: str, values: Mapping[str, Any]) -> None:
        parameters = [Param(name, as_text(value)) for name, value in values.items()]
        for first in range(0, len(parameters), BATCH):
            self.client.log_batch(run, params=parameters[first : first + BATCH])


def _final_tags(record: TrialRecord) -> dict[str, str]:
    notes = "\n".join(note.text for note in record.notes)
    tags = {"state": record.state, "ended": record.ended, "teacher": record.teacher, "data": record.data}
    return {**tags, "error": record.error, "notes": notes}


def _now_ms() -> int:
    return int(time() * 1000)
