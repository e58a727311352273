"""Weights & Biases: a run for the search and one for each trial, in one group.

Entity, project, mode and credentials come from W&B's own environment variables, such as WANDB_MODE and WANDB_API_KEY;
the project is called like the search unless WANDB_PROJECT names another one. Files lie in the output directory unless
WANDB_DIR names another place.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import wandb

from tdmr_ray.records import TrialRecord
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.tracking.values import parameters_of, report_files, save_id, saved_id, tags_of
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import TrialSpec

NAME = "wandb"
CURVE = "curve"
"""Metric with the ledger's field of that name: the best score so far, after each epoch."""
NO_CREDENTIALS = "it has no credentials; run `wandb login`, or set WANDB_API_KEY or WANDB_MODE=offline"


@dataclass
class _Trial:
    """What a trial's run holds.

    Attributes:
        run: The run.
        epochs: Number of epochs with metrics.
        points: Number of points of the curve.
    """

    run: wandb.Run
    epochs: int = 0
    points: int = 0


class WandbTracker(Listener):
    """Logs parameters, curves, final figures and the report."""

    def search_begun(self, search: SearchInfo) -> None:
        """Open the run of the search, again if it continues; trials from before it was tracked are added.

        Raises:
            RuntimeError: If the server needs credentials and there are none.
        """
        if wandb.setup().settings.mode not in ("offline", "disabled") and not wandb.login(prompt=False, verify=False):
            raise RuntimeError(NO_CREDENTIALS)
        self.search, self.layout, self.trials = search, RunLayout(search.root), dict[str, _Trial]()
        known = saved_id(search.root, NAME)
        self.id = known or uuid4().hex[:8]
        self.run = self._init(self.id, search.name, "search", search.space)
        if not known:
            save_id(search.root, NAME, self.id)
            for record in search.records:
                if record.state != "running":
                    self._close(record)

    def started(self, spec: TrialSpec) -> None:
        """Open the run of a trial."""
        self._open(spec)

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """Log an epoch's metrics; a trial that continues from a checkpoint reports its first epochs again."""
        trial, epoch = self._open(spec), int(metrics["epoch"])
        if epoch > trial.epochs:
            trial.epochs = epoch
            trial.run.log(metrics, step=epoch)

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Log the last point of the curve."""
        _log_curve(self._open(spec), record)

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Log what is known of a trial only at its end, and close its run."""
        self._close(record)

    def search_reported(self, *, interrupted: bool) -> None:
        """Log the report, the ledger and the shipped models, and close the runs that are open."""
        report = wandb.Artifact(re.sub(r"[^\w.-]", "-", f"{self.search.name}-report"), type="report")
        for path in report_files(self.layout):
            report.add_file(str(path), policy="immutable")
        for path in sorted(each for each in self.layout.best.rglob("*") if each.is_file()):
            report.add_file(str(path), name=path.relative_to(self.layout.root).as_posix(), policy="immutable")
        self.run.log_artifact(report)
        for trial in self.trials.values():
            trial.run.finish(exit_code=1)
        self.run.finish(exit_code=int(interrupted))

    def _open(self, trial: TrialSpec | TrialRecord) -> _Trial:
        if trial.id not in self.trials:
            config = {**parameters_of(trial), **tags_of(trial)}
            self.trials[trial.id] = _Trial(self._init(f"{self.id}-{trial.id}", trial.id, trial.phase, config))
        return self.trials[trial.id]

    def _close(self, record: TrialRecord) -> None:
        trial = self._open(record)
        _log_curve(trial, record)
        notes = "\n".join(note.text for note in record.notes)
        final = {"state": record.state, "error": record.error, "notes": notes, "teacher": record.teacher}
        trial.run.summary.update({**record.metrics, **final, "data": record.data})
        trial.run.finish(exit_code=int(record.state == "failed"))
        self.trials.pop(record.id)

    def _init(self, run_id: str, name: str, job_type: str, config: Mapping[str, Any]) -> wandb.Run:
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT") or re.sub(r"[/\\#?%:]", "-", self.search.name),
            dir=os.environ.get("WANDB_DIR") or str(self.layout.root),
            id=run_id,
            name=name,
            group=self.id,
            job_type=job_type,
            config=dict(config),
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(
                console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True
            ),
        )


def _log_curve(trial: _Trial, record: TrialRecord) -> None:
    """Log the points of the curve that are new; W&B drops those of earlier steps than its last one."""
    for step, value in list(enumerate(record.curve, start=1))[trial.points :]:
        trial.run.log({CURVE: value}, step=step)
    trial.points = len(record.curve)
