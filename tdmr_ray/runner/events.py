"""Between Tune and us: specs go in, records come out."""

import importlib.metadata
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray.exceptions
from ray import cloudpickle, tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from tdmr_ray.data.decoded import task_key
from tdmr_ray.records import State, TrialRecord
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.watchdog import read_hang
from tdmr_ray.space import Resources
from tdmr_ray.training.teacher_artifact import foundation_digest, start_digest
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_source import TrialSource
from tdmr_ray.tuning.trial_spec import TrialSpec

MAX_RESTARTS = 2
"""Of a trial whose process dies; after that the fault is taken to be its own."""
GONE = "gone"
"""Stands for a machine of which Ray has said so at once; of others it knows some seconds later."""
VERSIONS = {name: importlib.metadata.version(name) for name in ("tdmr_ray", "torch", "timm", "ray", "optuna")}


class StopFlag:
    """Whether a phase is being ended before its specs are done; apart from the rest, since Tune pickles who asks it."""

    def __init__(self) -> None:
        self.came = False


class TrialSearcher(Searcher):
    """Hands a source's specs to Tune, no more at a time than can run, so that none is drawn before it must be.

    Args:
        source: Of specs.
        place: What an actor must know besides the spec; see `TrialActor`.
        layout: Of the search.
        max_concurrent: Jobs at the same time.

    Attributes:
        live: The specs that run, by Tune's name for a trial.
        lost: Jobs whose process died, to be handed out again.
    """

    def __init__(self, source: TrialSource, place: dict[str, Any], layout: RunLayout, max_concurrent: int) -> None:
        super().__init__()
        self.source, self.place, self.layout, self.max_concurrent = source, place, layout, max_concurrent
        self.live: dict[str, TrialSpec] = {}
        self.lost: deque[TrialSpec] = deque()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next spec as an actor's configuration; None to wait, FINISHED when there is none left."""
        if len(self.live) >= self.max_concurrent:
            return None
        spec = self.lost.popleft() if self.lost else self.source.next_spec()
        if spec is None:
            return str(Searcher.FINISHED) if self.source.exhausted and not self.live else None
        self.live[trial_id] = spec
        return {
            **self.place,
            "id": spec.id,
            "config": spec.config.model_dump(mode="json"),
            "data": task_key(spec.config.data),
            "pair": spec.pair.name,
            "artifact": spec.artifact,
            "only_teacher": spec.only_teacher,
            "finalist": spec.phase == "confirm",
            "artifacts": str(self.layout.finalist(spec.id)),
            "checkpoint": str(self.layout.checkpoint(spec.id)),
            "stack": str(self.layout.stack(spec.id)),
            "notes": str(self.layout.ray_train),
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `TrialEvents` sees more."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the ledger is the truth, Tune's snapshot is not."""


class ActorRetired(Exception):
    """An actor has run as many trials as it may; the trial that it was to begin goes to another."""


class TrialEvents(tune.Callback):
    """Turns what Tune tells into records, and tells the source and the listeners.

    Args:
        searcher: Knows which trial is which spec.
        resources: Of a trial, for its cost.
        listeners: Whom to tell.
        objective: Its value after each epoch is the curve.
    """

    def __init__(
        self, searcher: TrialSearcher, resources: Resources, listeners: tuple[Listener, ...], objective: str
    ) -> None:
        self.searcher, self.resources, self.listeners, self.objective = searcher, resources, listeners, objective
        self.curves: dict[str, list[float]] = {}
        self.lost_on: dict[str, list[str]] = {}
        """The machines on which a spec lost its process, by its id."""
        self.ending = StopFlag()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tune's word for a process that begins with a trial."""
        self.curves[trial.trial_id] = []
        spec = self.searcher.live[trial.trial_id]
        for listener in self._listeners(spec):
            listener.started(spec)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """After each epoch; a trial that goes on from a checkpoint also says how the epochs before it ended."""
        spec, curve = self.searcher.live[trial.trial_id], self.curves[trial.trial_id]
        if result["error"] or spec.only_teacher:
            return
        for metrics in (*result["earlier"], result["metrics"]):
            curve.append(metrics[self.objective])
            for listener in self.listeners:
                listener.epoch_ended(spec, metrics)
        if not result.get("done"):
            record = self._record(spec, trial, result, "running")
            for listener in self.listeners:
                listener.continued(spec, record)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial is over: finished, stopped early, or failed in a way that the process survived."""
        result = trial.last_result or {}
        spec = self.searcher.live.pop(trial.trial_id)
        if result.get("error"):
            self._end(spec, trial, "failed", result["error"])
        elif result.get("epoch", 0) >= spec.config.num_epochs:
            self._end(spec, trial, "complete")
        elif not self.ending.came:
            self._end(spec, trial, "pruned")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial took its process with it, perhaps before it began; another process goes on, but not for ever."""
        if trial.trial_id not in self.curves:
            self.on_trial_start(iteration, trials, trial)
        spec = self.searcher.live.pop(trial.trial_id)
        hung = read_hang(self.searcher.layout.stack(spec.id))
        if hung:
            self._end(spec, trial, "failed", f"an epoch took longer than {self.resources.trial_timeout:g} s: {hung}")
            return
        cause = cause_of_death(trial)
        if isinstance(cause, ActorRetired):
            self._again(spec, trial)
            return
        reason, may_go_on = why_it_died(cause)
        _, restarts = self._losses(spec)
        machine = GONE if machine_is_gone(cause) else (trial.last_result or {}).get("machine", "")
        if machine not in lost_machines() and not (may_go_on and restarts < MAX_RESTARTS):
            again = f" ({restarts + 1} times)" if restarts else ""
            self._end(spec, trial, "failed", f"the trial's process died{again}: {reason}")
            return
        self.lost_on.setdefault(spec.id, []).append(machine)
        self._again(spec, trial)
        for listener in self._listeners(spec):
            listener.lost(spec, reason)

    def _losses(self, spec: TrialSpec) -> tuple[int, int]:
        """How often a spec lost its process with the machine, and how often without."""
        lost_on = self.lost_on.get(spec.id, [])
        lost = lost_machines() if lost_on else set()
        moves = sum(machine in lost for machine in lost_on)
        return moves, len(lost_on) - moves

    def _again(self, spec: TrialSpec, trial: Trial) -> None:
        """Another process begins with the spec."""
        self.curves.pop(trial.trial_id)
        self.searcher.lost.append(spec)

    def _end(self, spec: TrialSpec, trial: Trial, state: State, error: str = "") -> None:
        record = self._record(spec, trial, trial.last_result or {}, state, error)
        self.curves.pop(trial.trial_id, None)
        self.searcher.source.tell(spec, record)
        for listener in self._listeners(spec):
            listener.ended(spec, record)

    def _listeners(self, spec: TrialSpec) -> tuple[Listener, ...]:
        """Whom to tell of a spec: nobody if it only makes a teacher, which is no trial."""
        return () if spec.only_teacher else self.listeners

    def _record(
        self, spec: TrialSpec, trial: Trial, result: dict[str, Any], state: State, error: str = ""
    ) -> TrialRecord:
        hours = result.get("seconds", 0.0) / 3600
        moves, restarts = self._losses(spec)
        return blank_record(spec).model_copy(
            update={
                "state": state,
                "metrics": result.get("metrics", {}),
                "curve": list(self.curves.get(trial.trial_id, [])),
                "confusion": result.get("confusion"),
                "teacher": result.get("teacher", ""),
                "teacher_reused": result.get("teacher_reused", False),
                "teacher_seconds": round(result.get("teacher_seconds", 0.0), 3),
                "seconds": round(result.get("seconds", 0.0), 3),
                "ended": "" if state == "running" else datetime.now(UTC).isoformat(timespec="seconds"),
                "cpu_hours": hours * self.resources.trial_cpu,
                "gpu_hours": hours * self.resources.trial_gpu,
                "threads": result.get("threads", 1),
                "device": result.get("device", "cpu"),
                "precision": result.get("precision", "fp32"),
                "data": result.get("data", ""),
                "weights": foundation_digest(spec.config.foundation) if spec.config.needs_teacher else "",
                "target_weights": start_digest(spec.config.target.name, spec.config.target.weights),
                "artifacts": result.get("artifacts", ""),
                "restarts": restarts,
                "moves": moves,
                "error": error,
                "notes": tuple(result.get("notes", ())),
            }
        )


def blank_record(spec: TrialSpec) -> TrialRecord:
    """What is known of a spec before its first epoch."""
    return TrialRecord(
        id=spec.id,
        phase=spec.phase,
        role=spec.role,
        pair=spec.pair,
        config=spec.config.model_dump(mode="json"),
        values=dict(spec.values),
        state="running",
        seed=spec.config.seed,
        seconds=0.0,
        versions=VERSIONS,
    )


def cause_of_death(trial: Trial) -> Exception | None:
    """What a trial's process raised, or Ray's word for why it is gone; Tune's own getter looks where it is not yet."""
    path = trial.pickled_error_file
    if not path or not Path(path).exists():
        return None
    error: Exception = cloudpickle.loads(Path(path).read_bytes())
    return error.as_instanceof_cause() if isinstance(error, ray.exceptions.RayTaskError) else error


def machine_is_gone(cause: Exception | None) -> bool:
    """Whether Ray says that a trial was lost with its machine, such as a spot instance."""
    return isinstance(cause, ray.exceptions.RayActorError) and (cause.preempted or "node has died" in str(cause))


def lost_machines() -> set[str]:
    """Ray's names of machines that have left the cluster."""
    return {GONE, *(node["NodeID"] for node in ray.nodes() if not node["Alive"])}


def why_it_died(cause: Exception | None) -> tuple[str, bool]:
    """The reason in a line, and whether another process may go on: not where memory was too small."""
    lines = str(cause or "").strip().splitlines() or ["it was killed, or its machine went away"]
    out_of_memory = isinstance(cause, MemoryError | ray.exceptions.OutOfMemoryError) or "OutOfMemory" in lines[-1]
    return lines[-1], not (out_of_memory or "MemoryError" in lines[-1])
