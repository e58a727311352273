"""One configuration that is trained by Ray Train, without a search."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import Any

from ray.train import TrainingFailedError
from ray.train.v2.api.callback import UserCallback
from ray.util.queue import Queue

from tdmr_ray.data.decoded import task_key
from tdmr_ray.errors import SearchStopped
from tdmr_ray.run_layout import TrainLayout
from tdmr_ray.runner.distributed import run_trial
from tdmr_ray.runner.messages import Assignment, TrialReport, WorkerSettings, report_in
from tdmr_ray.runner.periodic import periodic_task
from tdmr_ray.runner.process_loss import MAX_RESTARTS
from tdmr_ray.runner.ray_train import POLL_S, run_with_ray_train
from tdmr_ray.runner.weights import WeightCopy
from tdmr_ray.space import Resources
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.workers import Metrics
from tdmr_ray.tuning.trial_spec import build_spec

OnProgress = Callable[[Metrics], object]
"""Receives the metrics of each epoch."""


def train_together(
    config: TrialConfig,
    resources: Resources,
    *,
    store: Store,
    layout: TrainLayout,
    on_progress: OnProgress,
    copies: tuple[WeightCopy, ...] = (),
) -> Metrics:
    """Train one configuration as a finalist, or continue an earlier run of it; needs a running Ray.

    Args:
        config: The configuration.
        resources: Resources of each worker, and the number of workers.
        store: Store of teachers and decoded images.
        layout: Locations of weights, metrics and checkpoint.
        on_progress: Receives the metrics of each epoch.
        copies: Copies of pretrained weights in the store.

    Returns:
        Metrics of the last epoch, with figures on test.

    Raises:
        SearchStopped: If the workers fail again and again, or the trial ends with an error.
    """
    settings = WorkerSettings.build(store, resources, copies)
    spec = replace(build_spec(config, phase="confirm"), id=f"train-{config.key()}")
    news = _News(on_progress)
    try:
        with periodic_task(news.pass_on, POLL_S):
            _in_thread(
                partial(
                    run_with_ray_train,
                    run_trial,
                    Assignment(spec, settings, layout, task_key(config.data)).as_config(),
                    name=spec.id,
                    settings=settings,
                    files=layout.ray_train,
                    workers=settings.workers,
                    min_workers=settings.min_workers,
                    callbacks=[_Forward(news.queue)],
                )
            )
    except TrainingFailedError as error:
        reason = str(error).strip().splitlines()[-1]
        raise SearchStopped(
            f"the workers failed {MAX_RESTARTS + 1} times, the last time by: {reason}; --resume continues after the "
            "last epoch, --verbose shows their log"
        ) from error
    report = news.close()
    if report.error:
        raise SearchStopped(report.error)
    layout.checkpoint(spec.id).remove()
    layout.ray_train.remove()
    layout.metrics.write_bytes(json.dumps(report.metrics).encode())
    return report.metrics


def _in_thread(work: Callable[[], None]) -> None:
    """Run in another thread; in the main thread Ray Train would replace the handler of Ctrl-C."""
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again where the result is awaited
            done.set_exception(error)
        else:
            done.set_result(None)

    Thread(target=run, daemon=True).start()
    done.result()


class _News:
    """Reports on their way from the workers to this process.

    Args:
        on_progress: Receives the metrics of each report, in order.
    """

    def __init__(self, on_progress: OnProgress) -> None:
        self.queue, self.on_progress = Queue(actor_options={"num_cpus": 0}), on_progress
        self.last = TrialReport()

    def pass_on(self) -> None:
        """Pass on the reports that have arrived."""
        for report in self.queue.get_nowait_batch(self.queue.size()):
            self.last = report
            if not report.error:
                self.on_progress(report.metrics)

    def close(self) -> TrialReport:
        """Pass on the rest; return the last report."""
        self.pass_on()
        self.queue.shutdown()
        return self.last


class _Forward(UserCallback):
    """Puts the first worker's reports into a queue."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        self.queue.put(report_in(metrics[0]))
