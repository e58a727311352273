"""Between Tune and us: jobs go in, records come out."""

import importlib.metadata
from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from tdmr_ray.records import State, TrialRecord
from tdmr_ray.runner.jobs import Job, Source
from tdmr_ray.space import Resources

VERSIONS = {name: importlib.metadata.version(name) for name in ("tdmr_ray", "torch", "timm", "ray", "optuna")}


class Listener(Protocol):
    """Somebody who wants to know how trials go; called on the driver."""

    def started(self, job: Job) -> None:
        """A process works on a job."""

    def epoch_ended(self, job: Job, metrics: dict[str, float]) -> None:
        """An epoch of a job is over."""

    def ended(self, job: Job, record: TrialRecord) -> None:
        """A job is over."""


class JobSearcher(Searcher):
    """Hands a source's jobs to Tune, no more at a time than can run, so that none is drawn before it must be.

    Args:
        source: Of jobs.
        place: What an actor must know besides the job; see `TrialActor`.
        max_concurrent: Jobs at the same time.
    """

    def __init__(self, source: Source, place: dict[str, Any], max_concurrent: int) -> None:
        super().__init__()
        self.source, self.place, self.max_concurrent = source, place, max_concurrent
        self.live: dict[str, Job] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next job as an actor's configuration; None to wait, FINISHED when there is none left."""
        if len(self.live) >= self.max_concurrent:
            return None
        job = self.source.next_job()
        if job is None:
            return str(Searcher.FINISHED) if self.source.exhausted else None
        self.live[trial_id] = job
        return {
            **self.place,
            "config": job.config.model_dump(mode="json"),
            "pair": job.pair.name,
            "finalist": job.phase == "confirm",
            "artifacts": f"{self.place['artifacts']}/{job.id}",
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `JobEvents` sees more."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the ledger is the truth, Tune's snapshot is not."""


class JobEvents(tune.Callback):
    """Turns what Tune tells into records, and tells the source and the listeners.

    Args:
        searcher: Knows which trial is which job.
        resources: Of a trial, for its cost.
        listeners: Whom to tell.
        objective: Its value after each epoch is the curve.
    """

    def __init__(
        self, searcher: JobSearcher, resources: Resources, listeners: tuple[Listener, ...], objective: str
    ) -> None:
        self.searcher, self.resources, self.listeners, self.objective = searcher, resources, listeners, objective
        self.curves: dict[str, list[float]] = {}
        self.ending = False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tune's word for a process that begins with a trial."""
        self.curves[trial.trial_id] = []
        for listener in self.listeners:
            listener.started(self.searcher.live[trial.trial_id])

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """After each epoch."""
        if result["error"]:
            return
        self.curves[trial.trial_id].append(result["metrics"][self.objective])
        for listener in self.listeners:
            listener.epoch_ended(self.searcher.live[trial.trial_id], result["metrics"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial is over: finished, stopped early, or failed in a way that the process survived."""
        result = trial.last_result or {}
        job = self.searcher.live.pop(trial.trial_id)
        if result.get("error"):
            self._tell(job, trial, "failed", result["error"])
        elif result.get("epoch", 0) >= job.config.num_epochs:
            self._tell(job, trial, "complete")
        elif not self.ending:
            self._tell(job, trial, "pruned")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial took its process with it, perhaps before it began."""
        if trial.trial_id not in self.curves:
            self.on_trial_start(iteration, trials, trial)
        job = self.searcher.live.pop(trial.trial_id)
        cause = trial.get_error() or trial.get_pickled_error()
        lines = str(cause).strip().splitlines() or ["the process died without a word"]
        self._tell(job, trial, "failed", f"the trial's process died: {lines[-1]}")

    def _tell(self, job: Job, trial: Trial, state: State, error: str = "") -> None:
        result = trial.last_result or {}
        hours = result.get("seconds", 0.0) / 3600
        record = TrialRecord(
            id=job.id,
            phase=job.phase,
            role=job.role,
            pair=job.pair,
            config=job.config.model_dump(mode="json"),
            values=dict(job.values),
            state=state,
            metrics=result.get("metrics", {}),
            curve=self.curves.pop(trial.trial_id, []),
            confusion=result.get("confusion"),
            teacher=result.get("teacher", ""),
            teacher_reused=result.get("teacher_reused", False),
            seed=job.config.seed,
            seconds=round(result.get("seconds", 0.0), 3),
            cpu_hours=hours * self.resources.cpu,
            gpu_hours=hours * self.resources.gpu,
            threads=result.get("threads", 1),
            device=result.get("device", "cpu"),
            data=result.get("data", ""),
            versions=VERSIONS,
            artifacts=result.get("artifacts", ""),
            error=error,
        )
        self.searcher.source.tell(job, record)
        for listener in self.listeners:
            listener.ended(job, record)
