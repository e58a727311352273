"""The driver loop: one Tune run over a source of trials, in reused actors.

The loop knows three protocols of the room `tuning` and nothing behind them:

- `TrialSource` hands out trials and learns how they end. Another search backend implements `next_spec`, `tell`,
  `exhausted` and `num_left`, and takes the place of `PairStudies` in `runner/search.py`.
- `Pruner` decides after each epoch whether a trial continues. Another early-stopping rule implements `should_continue`
  and takes the place of `Rungs` there.
- `Listener` receives every start, epoch, loss and end: the ledger, TensorBoard, the progress table, the budget.

A `StopCondition` ends the loop early. Other ways to run a trial are Tune trainables that read an `Assignment` and
return a `TrialReport`. Another executor than Tune replaces `run_trials`; it calls the same protocols from the driver.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import OutOfMemoryError
from ray.tune.error import TuneError

from tdmr_ray.data.decoded import task_key
from tdmr_ray.errors import SearchStopped
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.cluster import RayWatch
from tdmr_ray.runner.events import TrialEvents
from tdmr_ray.runner.messages import Assignment, WorkerSettings
from tdmr_ray.runner.own_folder import own_folder
from tdmr_ray.runner.schedulers import PrunerScheduler, WarmActorFIFO
from tdmr_ray.runner.stopping import CheckStopConditions, StopCondition, StopWhenFlagged
from tdmr_ray.runner.trainable import TrialActor
from tdmr_ray.runner.trial_searcher import TrialSearcher
from tdmr_ray.space import Resources
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.pruning import Pruner
from tdmr_ray.tuning.trial_source import TrialSource
from tdmr_ray.tuning.trial_spec import TrialSpec

MAX_PENDING = "TUNE_MAX_PENDING_TRIALS_PG"
"""Environment variable: actors that Tune starts at the same time; by default it starts one after the other."""


def run_trials(
    source: TrialSource,
    *,
    resources: Resources,
    settings: WorkerSettings,
    slots: int,
    layout: RunLayout,
    objective: str,
    listeners: tuple[Listener, ...],
    stop_conditions: tuple[StopCondition, ...],
    pruner: Pruner | None = None,
    trainable: type[tune.Trainable] | None = None,
) -> None:
    """Run the trials of a source until it is exhausted or a condition ends the phase.

    Args:
        source: Source of trials.
        resources: Resources of one trial.
        settings: Settings of all workers.
        slots: Trials at the same time.
        layout: Files of the search.
        objective: Metric that makes the curve, and that the pruner compares.
        listeners: Receive every event.
        stop_conditions: End the phase early.
        pruner: Stops trials early; None lets every trial end.
        trainable: Runs a trial; None is a warm actor, or several workers of Ray Train.

    Raises:
        SearchStopped: If Ray has died.
        OSError: If a listener cannot write, such as the ledger on a full disk.
    """
    if source.exhausted or any(condition.should_stop for condition in stop_conditions):
        return
    os.environ[MAX_PENDING] = str(slots)

    def assign(spec: TrialSpec) -> Assignment:
        return Assignment(spec, settings, layout, task_key(spec.config.data))

    searcher, ray_watch = TrialSearcher(source, assign, slots), RayWatch()
    events = TrialEvents(searcher, layout, resources, listeners, objective)
    with own_folder("tdmr_ray-", Path(tempfile.gettempdir())) as scratch, _own_errors():
        tune.run(
            trainable or _trainable_for(resources),
            name="trials",
            search_alg=searcher,
            scheduler=PrunerScheduler(pruner, objective) if pruner else WarmActorFIFO(),
            num_samples=-1,
            resources_per_trial=_resources_of(resources),
            reuse_actors=resources.workers == 1,
            storage_path=str(scratch),
            stop=StopWhenFlagged(events.ending),
            callbacks=[CheckStopConditions((*stop_conditions, ray_watch), events.ending), events],
            verbose=0,
            raise_on_failed_trial=False,
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        )
    if resources.workers > 1 or resources.reprogram_workers > 1:
        layout.ray_train.remove()
    if ray_watch.is_dead:
        raise SearchStopped("Ray has died: none of its machines is left; --resume goes on where the search was")


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise what has ended Tune as an error of ours: Tune wraps errors of listeners, and knows no lack of memory.

    Raises:
        OSError: If the ledger cannot be written, such as on a full disk.
        SearchStopped: If Ray ended processes because the machine was short of memory, and Tune gave up.
    """
    try:
        yield
    except TuneError as error:
        cause = _cause_of(error, OSError)
        if cause is None:
            raise
        raise cause from None
    except RuntimeError as error:
        if _cause_of(error, OutOfMemoryError) is None:
            raise
        advice = "use fewer at a time (resources.concurrent) or a larger machine; --resume goes on"
        raise SearchStopped(f"Ray ended trials because the machine was short of memory: {advice}") from error


def _cause_of(error: BaseException, kind: type[Exception]) -> Exception | None:
    """Return the exception of a kind that led to another one; None if there is none."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__ or cause.__context__
    return cause


def _trainable_for(resources: Resources) -> Any:
    """A warm actor for trials of one worker, which need not import Ray Train, or a function that uses Ray Train."""
    if resources.workers == 1:
        return TrialActor
    from tdmr_ray.runner.distributed import run_trial_with_workers

    return run_trial_with_workers


def _resources_of(resources: Resources) -> dict[str, float] | tune.PlacementGroupFactory:
    """The resources that Tune reserves for a trial.

    Ray Train reserves its workers' resources itself; the process that waits for them stays on the head, which is not a
    spot machine.
    """
    if resources.workers > 1:
        return tune.PlacementGroupFactory([{"node:__internal_head__": 0.001}])
    return {"cpu": resources.cpu, "gpu": resources.gpu_share}
