"""A trial, or the making of a teacher, in several workers of Ray Train.

Views are seeded for each image, so N workers with the same global batch see the samples that one worker would see.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.tune.integration.ray_train import TuneReportCallback

from tdmr_ray.models.weights import use_copies
from tdmr_ray.runner.messages import Assignment, assignment_in
from tdmr_ray.runner.ray_train import run_with_ray_train
from tdmr_ray.runner.teacher_provider import find_artifact
from tdmr_ray.runner.trial import Trial
from tdmr_ray.runner.worker_context import WorkerContext, open_context
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import make_teacher, save_artifact
from tdmr_ray.training.workers import joined_workers
from tdmr_ray.tuning.trial_spec import build_spec


def run_trial_with_workers(config: dict[str, Any]) -> None:
    """Run a trial whose target several workers train; a function for Tune.

    Args:
        config: An `Assignment`, wrapped for Ray.
    """
    assignment = assignment_in(config)
    settings = assignment.settings
    run_with_ray_train(
        run_trial,
        config,
        name=assignment.spec.id,
        settings=settings,
        files=assignment.files.ray_train,
        workers=settings.workers,
        min_workers=settings.min_workers,
        callbacks=[TuneReportCallback()],
    )


def make_teacher_with_workers(assignment: Assignment, context: WorkerContext, config: TrialConfig, key: str) -> Path:
    """Let several workers make a teacher; return the directory of its artifact.

    Args:
        assignment: Any trial of the search, for settings and locations.
        context: Context of this process.
        config: Configuration that needs the teacher.
        key: Key of the artifact; this process holds its lease.

    Raises:
        InputError: If the workers left it on a machine whose store this one does not see.
    """
    spec = replace(build_spec(config, phase="search"), teacher_key=key, only_teacher=True)
    order = replace(assignment, spec=spec, data_key=context.tasks.key(config.data))
    run_with_ray_train(
        _make_teacher,
        order.as_config(),
        name=f"teacher-{key}",
        settings=order.settings,
        files=order.files.ray_train,
        workers=order.settings.reprogram_workers,
    )
    return find_artifact(context.shared, key)


def run_trial(config: dict[str, Any]) -> None:
    """Run a trial in one of its workers.

    For Tune the trial is done when all workers have returned, not when the first one reports its end.
    """
    assignment, workers = assignment_in(config), joined_workers()
    trial = Trial(assignment, open_context(assignment.settings, workers), workers)
    while True:
        report = trial.step()
        ray.train.report(report.as_result(done=False))
        if report.done:
            return


def _make_teacher(config: dict[str, Any]) -> None:
    """Make a teacher in one of its workers; the process that needs it holds the lease."""
    assignment, workers = assignment_in(config), joined_workers()
    spec, context = assignment.spec, open_context(assignment.settings, workers)
    torch.set_num_threads(assignment.settings.threads)
    task = context.tasks.get(spec.config.data, key=assignment.data_key)
    with use_copies(context.find_copy):
        artifact = make_teacher(spec.config, task, workers, context.provider.features)
    if workers.rank == 0:
        context.shared.store.add(spec.teacher_key, lambda draft: save_artifact(artifact, draft))
