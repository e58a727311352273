"""Records of trials, from specs and reports."""

import importlib.metadata
from dataclasses import dataclass
from datetime import UTC, datetime

from tdmr_ray.records import State, TrialRecord
from tdmr_ray.runner.messages import TrialReport
from tdmr_ray.space import Resources
from tdmr_ray.training.networks import foundation_digest, start_digest
from tdmr_ray.tuning.trial_spec import TrialSpec

VERSIONS = {name: importlib.metadata.version(name) for name in ("tdmr_ray", "torch", "timm", "ray", "optuna")}


@dataclass(frozen=True)
class Losses:
    """Processes that a trial has lost.

    Attributes:
        moves: With their machine.
        restarts: Without.
    """

    moves: int = 0
    restarts: int = 0


def blank_record(spec: TrialSpec) -> TrialRecord:
    """Build the record of a trial before its first epoch."""
    return TrialRecord(
        id=spec.id,
        phase=spec.phase,
        role=spec.role,
        pair=spec.pair,
        config=spec.config.model_dump(mode="json"),
        values=dict(spec.values),
        recipe=spec.recipe,
        search_data=spec.search_data,
        state="running",
        seed=spec.config.seed,
        seconds=0.0,
        versions=VERSIONS,
    )


def build_record(
    spec: TrialSpec,
    report: TrialReport,
    *,
    state: State,
    curve: list[float],
    resources: Resources,
    losses: Losses,
    error: str = "",
) -> TrialRecord:
    """Build the record of a trial after its last report.

    Args:
        spec: The trial.
        report: Its last report.
        state: State of the trial.
        curve: Score after each epoch.
        resources: Resources of the trial, for its cost.
        losses: Processes it has lost.
        error: Reason of a failure.
    """
    hours = report.seconds / 3600
    return blank_record(spec).model_copy(
        update={
            "state": state,
            "metrics": report.metrics,
            "curve": list(curve),
            "confusion": report.confusion,
            "right": report.right,
            "steps": round(report.metrics.get("steps", 0)),
            "teacher": report.teacher_key,
            "teacher_reused": report.teacher_reused,
            "teacher_seconds": round(report.teacher_seconds, 3),
            "seconds": round(report.seconds, 3),
            "ended": "" if state == "running" else datetime.now(UTC).isoformat(timespec="seconds"),
            "cpu_hours": hours * resources.trial_cpu,
            "gpu_hours": hours * resources.trial_gpu,
            "threads": report.threads,
            "device": report.device,
            "precision": report.precision,
            "data": report.data,
            "label_counts": report.label_counts,
            "weights": foundation_digest(spec.config.foundation) if spec.config.needs_teacher else "",
            "target_weights": start_digest(spec.config.target.name, spec.config.target.weights),
            "artifacts": report.artifacts,
            "restarts": losses.restarts,
            "moves": losses.moves,
            "error": error,
            "notes": report.notes,
        }
    )
