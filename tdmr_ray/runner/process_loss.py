"""Reasons why a trial lost its process, and whether another process may continue it."""

from pathlib import Path

import ray.exceptions
from ray import cloudpickle
from ray.tune.experiment import Trial

MAX_RESTARTS = 2
"""Restarts of a trial whose process dies; after that the trial is taken to be the cause."""
GONE = "gone"
"""Stands for a machine that Ray reports as lost at once; it reports others some seconds later."""


class ActorRetired(Exception):
    """An actor has run as many trials as it may; the trial that it was to begin goes to another."""


def cause_of_death(trial: Trial) -> Exception | None:
    """Return what a trial's process raised, or Ray's reason for its loss.

    Tune's own getter looks for the file before it is complete.
    """
    path = trial.pickled_error_file
    if not path or not Path(path).exists():
        return None
    error: Exception = cloudpickle.loads(Path(path).read_bytes())
    return error.as_instanceof_cause() if isinstance(error, ray.exceptions.RayTaskError) else error


def is_machine_lost(cause: Exception | None) -> bool:
    """Whether Ray says that a trial was lost with its machine, such as a spot instance."""
    return isinstance(cause, ray.exceptions.RayActorError) and (cause.preempted or "node has died" in str(cause))


def lost_machines() -> set[str]:
    """Return Ray's ids of the machines that have left the cluster."""
    return {GONE, *(node["NodeID"] for node in ray.nodes() if not node["Alive"])}


def reason_of_death(cause: Exception | None) -> tuple[str, bool]:
    """Return the reason in one line, and whether another process may continue: not where memory was too small."""
    lines = str(cause or "").strip().splitlines() or ["it was killed, or its machine went away"]
    out_of_memory = isinstance(cause, MemoryError | ray.exceptions.OutOfMemoryError) or "OutOfMemory" in lines[-1]
    return lines[-1], not (out_of_memory or "MemoryError" in lines[-1])
