"""Ray Train: a trial, or the making of a teacher, by several processes together, on CPUs (gloo) or GPUs (nccl).

Because views are seeded for each image, N workers with the same global batch see the samples that one would see.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.constants import HEALTH_CHECK_INTERVAL_S_ENV_VAR
from ray.train.v2.api.callback import UserCallback
from ray.tune.integration.ray_train import TuneReportCallback
from ray.util.queue import Queue

from tdmr_ray.data.decoded import task_key
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError, SearchStopped
from tdmr_ray.run_layout import METRICS, RAY_TRAIN
from tdmr_ray.runner.events import MAX_RESTARTS
from tdmr_ray.runner.leases import renewed
from tdmr_ray.runner.periodic import periodic_task
from tdmr_ray.runner.teacher_provider import ASK_EVERY_S, SharedStore, StoredTeacherProvider, resident_task
from tdmr_ray.runner.trial import Shop, Trial, place_of_trials
from tdmr_ray.runner.weights import Copies
from tdmr_ray.space import Resources
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import TeacherArtifact, load_artifact, make_teacher, save_artifact
from tdmr_ray.training.workers import Metrics, Workers, joined_workers

POLL_S = 0.2
"""How often Ray Train asks its workers for news; by itself every 2 s, which an epoch of a small task does not take."""


def trial_of_several(spec: dict[str, Any]) -> None:
    """Tune's function for a trial whose target is trained by several workers.

    Args:
        spec: See `Trial`; and `workers`, `min_workers`, `threads` and `gpu` of each.
    """
    run_together(_run_trial, spec, spec["workers"], min_workers=spec["min_workers"], callbacks=[TuneReportCallback()])


def teacher_of_several(spec: dict[str, Any], config: TrialConfig, key: str) -> Path:
    """Let several workers make a artifact; where it is then.

    Raises:
        InputError: If they left it on a machine whose store is not seen here.
    """
    loop = {**spec, "config": config.model_dump(mode="json"), "artifact": key}
    run_together(_make_teacher, loop, spec["reprogram_workers"])
    return _found(Shop(spec).shared, key)


def run_together(
    work: Callable[[dict[str, Any]], None],
    spec: dict[str, Any],
    workers: int,
    *,
    min_workers: int | None = None,
    callbacks: list[UserCallback] | None = None,
) -> None:
    """A run of Ray Train. A worker that is lost takes the others with it; they begin again from the last checkpoint.

    Args:
        work: What each worker does with the spec.
        spec: Says `threads` and `gpu` of each, and the place of Ray Train's `notes`, which all of them reach.
        workers: How many.
        min_workers: With fewer machines than `workers` need, so many will do; None insists.
        callbacks: Told what workers report.
    """
    os.environ.setdefault(HEALTH_CHECK_INTERVAL_S_ENV_VAR, str(POLL_S))
    resources = {"CPU": spec["threads"], **({"GPU": spec["gpu"]} if spec["gpu"] else {})}
    TorchTrainer(
        work,
        train_loop_config=spec,
        scaling_config=ScalingConfig(
            num_workers=(min_workers, workers) if min_workers and min_workers < workers else workers,  # type: ignore[arg-type]
            use_gpu=spec["gpu"] > 0,
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=spec["id"],
            storage_path=spec["notes"],
            failure_config=FailureConfig(max_failures=MAX_RESTARTS),
            callbacks=callbacks or [],  # type: ignore[arg-type]
        ),
    ).fit()


def train_together(
    config: TrialConfig,
    resources: Resources,
    *,
    store: Store,
    copies: Copies,
    place: StoragePath,
    stack: Path,
    say: Callable[[Metrics], None],
) -> Metrics:
    """Run one configuration as a finalist, from where an earlier run of it was stopped; needs a running Ray.

    Args:
        config: What is trained.
        resources: Of each worker, and how many.
        store: Of teachers and decoded images.
        copies: Of weights, in the store.
        place: Gets weights and `metrics.json`; all machines reach it.
        stack: File that says where a worker hung.
        say: Told the metrics of each epoch.

    Returns:
        The last epoch's metrics, with figures on test.

    Raises:
        SearchStopped: If the workers fail again and again.
    """
    spec = {
        **place_of_trials(store, resources, copies),
        "id": f"train-{config.key()}",
        "config": config.model_dump(mode="json"),
        "data": task_key(config.data),
        "pair": "",
        "artifact": "",
        "only_teacher": False,
        "finalist": True,
        "artifacts": str(place),
        "checkpoint": str(place / "checkpoint.pt"),
        "notes": str(place / RAY_TRAIN),
        "stack": str(stack),
    }
    news = Queue(actor_options={"num_cpus": 0})
    try:
        with periodic_task(partial(_say_news, news, say), POLL_S):
            run_together(
                _run_trial, spec, resources.workers, min_workers=resources.min_workers, callbacks=[_Forward(news)]
            )
    except TrainingFailedError as error:
        reason = str(error).strip().splitlines()[-1]
        raise SearchStopped(
            f"the workers failed {MAX_RESTARTS + 1} times, the last time by: {reason}; --resume goes on after the last "
            "epoch, --verbose shows all they say"
        ) from error
    _say_news(news, say)
    news.shutdown()
    for left in ("checkpoint.pt", RAY_TRAIN):
        (place / left).remove()
    content = (place / METRICS).read_bytes()
    assert content is not None, "the first worker has written it"
    metrics: Metrics = json.loads(content)
    return metrics


def _say_news(news: Queue, say: Callable[[Metrics], None]) -> None:
    """Say what lies in a queue."""
    for metrics in news.get_nowait_batch(news.size()):
        say(metrics)


class _Forward(UserCallback):
    """Puts the first worker's metrics into a queue."""

    def __init__(self, news: Queue) -> None:
        self.news = news

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        self.news.put(metrics[0]["metrics"])


class GroupTeacherProvider(StoredTeacherProvider):
    """A provider of workers that run one trial together: what is missing they make together, too."""

    def __init__(self, shared: SharedStore, workers: Workers) -> None:
        super().__init__(shared)
        self.workers = workers

    def __call__(self, config: TrialConfig, task: Task) -> TeacherArtifact:
        """The artifact of a trial; all workers ask for it at the same time."""
        self._begin(config, task)
        while True:
            there, ours = self._look()
            if there:
                artifact, self.reused = load_artifact(_found(self.shared, self.key)), True
                break
            if ours:
                artifact, self.reused = self._make_together(config, task), False
                break
            time.sleep(ASK_EVERY_S)
        self.seconds = artifact.seconds
        return artifact

    def _look(self) -> tuple[bool, bool]:
        """Whether it is there, or this group may make it; as the first worker sees it."""
        there = ours = False
        if self.workers.rank == 0:
            there = self.shared.store.find(self.key) is not None
            ours = not there and self.shared.leases.take(self.key, self.shared.holder)
        said = self.workers.mean({"there": float(there), "ours": float(ours)})
        return said["there"] > 0, said["ours"] > 0

    def _make_together(self, config: TrialConfig, task: Task) -> TeacherArtifact:
        first = self.workers.rank == 0
        with renewed(self.shared.leases, self.key, self.shared.holder) if first else nullcontext():
            artifact = make_teacher(config, task, self.workers)
            if first:
                self.shared.store.add(self.key, lambda draft: save_artifact(artifact, draft))
            self.workers.mean({"saved": 1.0})
        return artifact


def _run_trial(spec: dict[str, Any]) -> None:
    """What each worker does in a trial. The trial is done when all have come to their end, not when it says so."""
    workers, shop = joined_workers(), Shop(spec)
    if workers.count > 1:
        shop.provider = GroupTeacherProvider(shop.shared, workers)
    trial = Trial(spec, shop, workers)
    while True:
        result = trial.step()
        if result["done"] and spec["finalist"] and workers.rank == 0:
            (StoragePath(spec["artifacts"]) / METRICS).write_bytes(json.dumps(result["metrics"]).encode())
        ray.train.report({**result, "done": False})
        if result["done"]:
            return


def _make_teacher(spec: dict[str, Any]) -> None:
    """What each worker does for a teacher; whoever has asked for it holds the lease."""
    torch.set_num_threads(spec["threads"])
    workers, shared = joined_workers(), Shop(spec).shared
    config = TrialConfig.model_validate(spec["config"])
    artifact = make_teacher(config, resident_task(config, shared, key=spec["data"]), workers)
    if workers.rank == 0:
        shared.store.add(spec["artifact"], lambda draft: save_artifact(artifact, draft))


def _found(shared: SharedStore, key: str) -> Path:
    found = shared.store.find(key)
    if found is None:
        raise InputError("--store", f"a teacher made on another machine is not in {shared.store.local}; give --storage")
    return found
