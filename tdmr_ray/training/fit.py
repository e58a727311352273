"""One trial from beginning to end, without Ray."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tdmr_ray.data.task import Task
from tdmr_ray.models import Target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.frozen_target import FrozenTarget
from tdmr_ray.training.majority import Majority
from tdmr_ray.training.memory import reuse_freed_memory
from tdmr_ray.training.metrics import named
from tdmr_ray.training.self_training import SelfTraining
from tdmr_ray.training.teacher_artifact import (
    TeacherArtifact,
    TeacherProvider,
    make_teacher,
    open_outputs,
    restore_teacher,
)
from tdmr_ray.training.training import Training
from tdmr_ray.training.workers import ALONE, Metrics, Workers


@dataclass(frozen=True)
class Outcome:
    """Result of a trial.

    Attributes:
        target: The target with its best weights on val, or with its last ones without a val split; None where no target
            takes part.
        metrics: Metrics of the last epoch, and all metrics on test (`test/top1`, ...) if test was read.
        test: Logits for the test images; None unless test was read, and if there is no test split.
        artifact: The teacher, if there was one.
    """

    target: Target | None
    metrics: Metrics
    test: Evaluation | None
    artifact: TeacherArtifact | None


class Run:
    """A trial that runs an epoch at a time, so that it can be stopped between two epochs.

    Args:
        config: The trial.
        task: Its images.
        provider: Gives the trial its teacher.
        workers: Processes that train this target together.
    """

    def __init__(
        self, config: TrialConfig, task: Task, provider: TeacherProvider = make_teacher, workers: Workers = ALONE
    ) -> None:
        reuse_freed_memory()
        self.config, self.task = config, task
        self.artifact = provider(config, task) if config.needs_teacher else None
        self.training = _start(config, task, self.artifact, workers)
        self.metrics: Metrics = {}

    @property
    def done(self) -> bool:
        """Whether every epoch has ended that is to be run."""
        return self.training.done if self.training else bool(self.metrics)

    @property
    def notes(self) -> list[str]:
        """Remarks on how teacher and target were trained."""
        of_teacher = self.artifact.notes if self.artifact else []
        return [*of_teacher, *(self.training.notes if self.training else [])]

    def run_epoch(self) -> Metrics:
        """Run the next epoch; return its metrics, with the teacher's accuracy and objective repeated.

        The last epoch returns all metrics on val, the others only what chooses the best epoch. There are none without a
        val split.

        Raises:
            NonFiniteLoss: If a loss diverges.
        """
        teacher = self.artifact.val_metrics if self.artifact else {}
        own = self.training.run_epoch() if self.training else {"epoch": 1, "steps": 0, **named(teacher, "val")}
        repeated = (name for name in ("top1", self.config.objective) if name in teacher)
        self.metrics = {**own, **{f"val/teacher_{name}": teacher[name] for name in repeated}}
        if self.done and self.training:
            self.metrics |= named(self.training.measure_best(), "val")
        return self.metrics

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs to continue after the last finished epoch."""
        return {"metrics": self.metrics, "training": self.training.state() if self.training else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of the same configuration, bit for bit."""
        self.metrics = dict(state["metrics"])
        if self.training is not None:
            self.training.restore(state["training"])

    def finish(self, *, read_test: bool) -> Outcome:
        """Return the best weights, and figures on test if `read_test` and there is a test split."""
        target = self.training.best_target() if self.training else None
        if not read_test or not len(self.task.test):
            return Outcome(target, self.metrics, None, self.artifact)
        test = self._read_test()
        metrics = {**self.metrics, **named(test.metrics, "test")}
        return Outcome(target, metrics, test, self.artifact)

    def _read_test(self) -> Evaluation:
        if self.training is not None:
            return self.training.evaluate_on("test")
        assert self.artifact is not None, "a linear probe has an artifact"
        teacher = restore_teacher(self.config, self.artifact, self.task.num_classes)
        return evaluate(lambda images: teacher(images).logits, self.task.test, device=pick_device())


def _start(config: TrialConfig, task: Task, artifact: TeacherArtifact | None, workers: Workers) -> Training | None:
    """Return what a trial does with its target; None for a linear probe, which ends with the teacher."""
    match config.method:
        case "linear_probe":
            return None
        case "majority":
            return Majority(task)
        case "frozen_target":
            return FrozenTarget(config, task)
        case "self_training":
            return SelfTraining(config, task, workers)
        case "scratch":
            return Distillation(config, task, None, workers)
        case "tdmr":
            assert artifact is not None, "TDMR has a teacher"
            return Distillation(config, task, open_outputs(config, task, artifact), workers)


def fit(
    config: TrialConfig,
    task: Task,
    report: Callable[[Metrics], object],
    *,
    provider: TeacherProvider = make_teacher,
    workers: Workers = ALONE,
    read_test: bool = False,
) -> Outcome:
    """Run a whole trial and pass the metrics of every epoch to `report`.

    Raises:
        NonFiniteLoss: If a loss diverges.
        InputError: If a network or data set is unavailable.
    """
    run = Run(config, task, provider, workers)
    while not run.done:
        report(run.run_epoch())
    return run.finish(read_test=read_test)
