"""One Tune run over a source of specs, in reused actors."""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

from ray import tune
from ray.tune.error import TuneError
from ray.tune.schedulers import TrialScheduler

from tdmr_ray.errors import SearchStopped
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.cluster import RayWatch
from tdmr_ray.runner.events import StopFlag, TrialEvents, TrialSearcher
from tdmr_ray.runner.schedulers import WarmActorFIFO
from tdmr_ray.runner.trainable import TrialActor
from tdmr_ray.runner.trial import place_of_trials
from tdmr_ray.runner.weights import Copies
from tdmr_ray.space import Resources
from tdmr_ray.store import Store
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_source import TrialSource

STARTING = "TUNE_MAX_PENDING_TRIALS_PG"
"""How many actors Tune starts at the same time; by itself it would start one after the other."""


class Interrupt:
    """Remembers a Ctrl-C, so that trials can be ended in order; a second one is Python's own."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Catch SIGINT and SIGTERM for the duration; only Python's main thread can."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopCondition(Protocol):
    """Something that can end a phase before its specs are done."""

    @property
    def came(self) -> bool:
        """Whether it is time to end; what runs can be gone on with later."""


class _CheckStopConditions(tune.Callback):
    """Looks at the stop_conditions once a step, so that all who ask in between get one answer."""

    def __init__(self, stop_conditions: tuple[StopCondition, ...], ending: StopFlag) -> None:
        self.stop_conditions, self.ending = stop_conditions, ending

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self.ending.came = self.ending.came or any(condition.came for condition in self.stop_conditions)


class _StopWhenFlagged(tune.Stopper):
    def __init__(self, ending: StopFlag) -> None:
        self.ending = ending

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return self.ending.came

    def stop_all(self) -> bool:
        return self.ending.came


@contextmanager
def _own_errors() -> Iterator[None]:
    """Tune wraps what listeners raise, here or there, in an error of its own that holds a traceback as text."""
    try:
        yield
    except TuneError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        if cause is None:
            raise
        raise cause from None


def _trainable_for(resources: Resources) -> Any:
    """A warm actor for trials of one worker, which need not wait for the import of Ray Train, or Ray Train."""
    if resources.workers == 1:
        return TrialActor
    from tdmr_ray.runner.distributed import trial_of_several

    return trial_of_several


def _resources_of(resources: Resources) -> dict[str, float] | tune.PlacementGroupFactory:
    """What Tune is to set aside for a trial.

    Ray Train does that itself for its workers; who waits for them sits on the head, which is not a spot machine.
    """
    if resources.workers > 1:
        return tune.PlacementGroupFactory([{"node:__internal_head__": 0.001}])
    return {"cpu": resources.cpu, "gpu": resources.gpu_share}


def run_trials(
    source: TrialSource,
    *,
    resources: Resources,
    slots: int,
    store: Store,
    layout: RunLayout,
    objective: str,
    listeners: tuple[Listener, ...],
    stop_conditions: tuple[StopCondition, ...],
    copies: Copies = (),
    scheduler: TrialScheduler | None = None,
    trainable: type[tune.Trainable] | None = None,
) -> None:
    """Run a source's specs until it is exhausted or a condition comes.

    Args:
        source: Of specs; on_progress how each ended.
        resources: Of one trial.
        slots: Trials at the same time.
        store: Of teachers and decoded images.
        layout: Of the search: what finalists leave, and what interrupted trials go on from.
        objective: Metric that makes the curve.
        listeners: Told about each start, epoch and end.
        stop_conditions: Such as a Ctrl-C.
        copies: Of weights, in the store.
        scheduler: Decides after each epoch; None lets every trial end.
        trainable: What runs a spec; None is a warm actor, or several workers by Ray Train.

    Raises:
        SearchStopped: If Ray has died.
        OSError: Of a listener, such as a full disk.
    """
    if source.exhausted or any(condition.came for condition in stop_conditions):
        return
    os.environ[STARTING] = str(slots)
    searcher = TrialSearcher(source, place_of_trials(store, resources, copies), layout, slots)
    ray_watch = RayWatch()
    events = TrialEvents(searcher, resources, listeners, objective)
    with tempfile.TemporaryDirectory(prefix="tdmr_ray-") as scratch, _own_errors():
        tune.run(
            trainable or _trainable_for(resources),
            name="trials",
            search_alg=searcher,
            scheduler=scheduler or WarmActorFIFO(),
            num_samples=-1,
            resources_per_trial=_resources_of(resources),
            reuse_actors=resources.workers == 1,
            storage_path=scratch,
            stop=_StopWhenFlagged(events.ending),
            callbacks=[_CheckStopConditions((*stop_conditions, ray_watch), events.ending), events],
            verbose=0,
            raise_on_failed_trial=False,
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        )
    if resources.workers > 1 or resources.reprogram_workers > 1:
        layout.ray_train.remove()
    if ray_watch.dead:
        raise SearchStopped("Ray has died: none of its machines is left; --resume goes on where the search was")
