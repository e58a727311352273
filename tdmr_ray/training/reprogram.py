"""Reprogramming: fit prompt and mapping of a frozen foundation to a task."""

from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tdmr_ray.data.task import Images, Task
from tdmr_ray.method.component import FoundationShape, TaskFacts
from tdmr_ray.method.mappings import MAPPINGS, Refit
from tdmr_ray.method.prompts import PROMPTS
from tdmr_ray.method.teacher import Teacher
from tdmr_ray.models import Foundation
from tdmr_ray.training.activity import doing
from tdmr_ray.training.batches import batches_per_epoch, cycle, epoch_batches
from tdmr_ray.training.best_on_val import BestOnVal
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import check_finite
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.features import NUM_SHARED_VIEWS, Features, unmixed_views
from tdmr_ray.training.micro_batches import MicroBatches, run_in_micro_batches
from tdmr_ray.training.networks import InPrecision
from tdmr_ray.training.pseudo_labels import with_predictions
from tdmr_ray.training.source import FeatureSource, LiveSource, Source
from tdmr_ray.training.workers import ALONE, Metrics, Workers

History = list[dict[str, float]]


@dataclass(frozen=True)
class FittedTeacher:
    """A reprogrammed teacher.

    Attributes:
        teacher: With the weights of the epoch that is best on val, or of the last one without a val split.
        history: Metrics of each epoch; the first row is the teacher before any training.
        val_metrics: Metrics on val of the kept weights, by name; empty without a val split.
        notes: Remarks on how it was trained.
    """

    teacher: Teacher
    history: History
    val_metrics: Metrics
    notes: list[str]

    @property
    def val_top1(self) -> float | None:
        """Accuracy on val of the kept weights; None without a val split."""
        return self.val_metrics.get("top1")


def build_teacher(config: TrialConfig, foundation: Foundation, num_classes: int) -> Teacher:
    """Build an untrained teacher: the prompt at its initial values and a mapping that has seen no data.

    Raises:
        ValueError: If prompt or mapping do not fit the foundation or the task.
    """
    shape, task = _shape_of(foundation, config.foundation.label), TaskFacts(num_classes)
    problems = [*config.prompt.check(shape, task), *config.mapping.check(shape, task)]
    if problems:
        raise ValueError("; ".join(problems))
    torch.manual_seed(config.seed)
    prompt = PROMPTS[config.prompt.kind](config.prompt, shape)
    mapping = MAPPINGS[config.mapping.kind](config.mapping, shape, task, seed=config.seed)
    return Teacher(prompt, InPrecision(foundation, config.precision), mapping)


def _shape_of(foundation: Foundation, name: str) -> FoundationShape:
    return FoundationShape(
        name=name,
        image_px=foundation.spec.size_px,
        num_source_classes=foundation.num_source_classes,
        takes_tokens=foundation.token_dim > 0,
        feature_dim=foundation.feature_dim,
        token_dim=foundation.token_dim,
        member_dims=foundation.member_dims,
    )


def fit_teacher(
    config: TrialConfig,
    task: Task,
    foundation: Foundation,
    device: torch.device,
    workers: Workers = ALONE,
    features: Features | None = None,
) -> FittedTeacher:
    """Reprogram a foundation with the labelled images of a task; the epoch that is best on val is kept.

    Without a val split the last epoch is kept. With `pseudo_labels.rounds`, the teacher then labels the other images
    and learns again from all of them: the kept one if it is trained, the last one if it is only refitted.

    Args:
        config: The trial.
        task: Its images.
        foundation: The frozen network.
        device: Device to train on.
        workers: Processes that fit the same teacher together.
        features: Features of the images and their views; None runs the foundation. Not for a learned prompt.

    Raises:
        NonFiniteLoss: If the loss diverges.
        ValueError: If prompt or mapping do not fit the foundation or the task.
    """
    teacher = build_teacher(config, foundation.to(device), task.num_classes).to(device)
    teacher.prompt.start_from(task.labeled.images.to(device).float().div(255.0))
    source = _source_of(config, task, teacher, features, device)
    if teacher.mapping.refits is not None:
        _refit(teacher, source, task.labeled, teacher.mapping.refits)
    tracker, micro_batches = (
        _Tracker(teacher, source, task, config.objective, workers),
        MicroBatches(may_divide=workers.count == 1),
    )
    _learn(config, teacher, source, task.labeled, tracker, micro_batches, workers)
    for _ in range(config.pseudo_labels.rounds if task.num_labeled < len(task.train) else 0):
        refits = teacher.mapping.refits
        if teacher.learns:
            tracker.load_best()
        averaged = refits is not None and refits.averaged
        logits = _logits(teacher, *source.outputs(task.unlabeled, averaged=averaged))
        filled = with_predictions(task, logits, threshold=config.pseudo_labels.threshold)
        if refits is not None and refits.on_pseudo_labels:
            _refit(teacher, source, filled.labeled, refits)
            tracker.measure({})
        _learn(config, teacher, source, filled.labeled, tracker, micro_batches, workers)
    tracker.load_best()
    notes = micro_batches.notes("teacher", config.reprogram.batch_size)
    return FittedTeacher(teacher, tracker.history, tracker.all_metrics(), notes)


def _source_of(
    config: TrialConfig, task: Task, teacher: Teacher, features: Features | None, device: torch.device
) -> Source:
    if features is not None:
        return FeatureSource(teacher, features, device)
    num_views = None if teacher.prompt.learns else NUM_SHARED_VIEWS
    return LiveSource(teacher, unmixed_views(config, task), config.view_seed, num_views, device)


def _learn(
    config: TrialConfig,
    teacher: Teacher,
    source: Source,
    labeled: Images,
    tracker: "_Tracker",
    micro_batches: MicroBatches,
    workers: Workers,
) -> None:
    """Train for one cycle if anything is trained; refit the mapping before each epoch if it asks for that.

    Each worker sees its part of every batch; the gradient that they average is that of the whole batch's mean loss.
    """
    if not teacher.learns:
        return
    settings = config.reprogram
    trained, optimizer = workers.wrap(source.trained), _build_optimizer(teacher)
    refits = teacher.mapping.refits
    num_steps = settings.epochs * batches_per_epoch(len(labeled), settings.batch_size)
    step = 0
    for epoch in range(settings.epochs):
        if refits is not None and refits.each_epoch and epoch:
            _refit(teacher, source, labeled, refits)
        teacher.train()
        total, seen = 0.0, 0
        started = perf_counter()
        batches = epoch_batches(
            len(labeled), batch_size=settings.batch_size, epoch=epoch, seed=config.seed, num_views=source.num_views
        )
        for number, batch in enumerate(batches, start=1):
            doing(f"teacher, epoch {epoch + 1} of {settings.epochs}, batch {number} of {num_steps // settings.epochs}")
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * cycle(step / num_steps)
            part = batch.part(workers.rank, workers.count)
            inputs = source.inputs(labeled, part.rows, part.views)
            shown = inputs, labeled.labels[part.rows].to(inputs.device)
            learn = partial(_backward, trained, optimizer, *shown, len(batch.rows) / workers.count)
            summed = micro_batches.retry(len(part.rows), learn)
            optimizer.step()
            total, seen, step = total + summed, seen + len(batch.rows), step + 1
        (loss_mean,) = workers.mean({"reprogram/loss": total * workers.count / seen}).values()
        check_finite({"reprogram/loss": loss_mean}, f"reprogram epoch {epoch}")
        speed, lr = seen / (perf_counter() - started), float(optimizer.param_groups[0]["lr"])
        tracker.measure({"reprogram/loss": loss_mean, "reprogram/lr": lr, "reprogram/images_per_s": speed})


def _backward(
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    labels: Tensor,
    divisor: float,
    num_micro_batches: int,
) -> float:
    """Leave the gradient of a batch's summed loss over a divisor in the parameters; return that sum."""
    optimizer.zero_grad()
    _, logits = run_in_micro_batches(trained, inputs, num_micro_batches)
    summed = cross_entropy(logits, labels, reduction="sum")
    (summed / divisor).backward()
    return float(summed.detach())


def _build_optimizer(teacher: Teacher) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = [
        {"params": group.parameters, "peak": group.lr, "lr": group.lr, "weight_decay": group.weight_decay}
        for group in (*teacher.mapping.parameter_groups(), *teacher.prompt.parameter_groups())
    ]
    return torch.optim.AdamW(groups)


@torch.no_grad()
def _refit(teacher: Teacher, source: Source, labeled: Images, when: Refit) -> None:
    """Fit the mapping in closed form to the labelled images, without augmentation or averaged over views."""
    features, source_logits = source.outputs(labeled, prompted=when.prompted, averaged=when.averaged)
    teacher.mapping.refit(features, source_logits, labeled.labels.to(features.device))


@torch.no_grad()
def _logits(teacher: Teacher, features: Tensor, source_logits: Tensor) -> Tensor:
    """Map a foundation's outputs to task logits [N, C] on the CPU."""
    logits: Tensor = teacher.eval().mapping(features, source_logits)[1]
    return logits.float().cpu()


class _Tracker:
    """Measures a teacher on val after each epoch and keeps its best weights by the objective.

    Without a val split nothing is measured, and the teacher keeps the weights that it has. Under a prompt without
    parameters the foundation's outputs for val never change, so it runs once.
    """

    def __init__(self, teacher: Teacher, source: Source, task: Task, objective: str, workers: Workers) -> None:
        self.teacher, self.source, self.task = teacher, source, task
        self.history: History = []
        self.best = BestOnVal(objective, workers)
        self.has_val = len(task.val) > 0
        measured_once = self.has_val and not teacher.prompt.learns
        self.outputs = source.outputs(task.val) if measured_once else None
        self.measure({}, may_win=not teacher.mapping.starts_blank)

    def measure(self, metrics: dict[str, float], *, may_win: bool = True) -> None:
        """Add a row of the history: these metrics, the objective and the accuracy on val.

        Args:
            metrics: Further metrics of the row.
            may_win: Whether these weights may be kept. A blank mapping answers one class, which has the best accuracy
                where nearly all images are of that class.
        """
        if not self.has_val:
            self.history.append(metrics)
            return
        found = self.best.offer(self.teacher, self._evaluate(), epoch=len(self.history), may_win=may_win)
        self.history.append({**metrics, **{f"reprogram/val_{name}": value for name, value in found.items()}})

    def all_metrics(self) -> Metrics:
        """Return all metrics on val of the best weights, by name; none without a val split."""
        return Evaluation(self.best.logits, self.task.val.labels).metrics if self.has_val else {}

    def load_best(self) -> None:
        """Return to the weights that were best on val, if any were measured."""
        self.best.load_into(self.teacher)
        self.teacher.eval()

    def _evaluate(self) -> Evaluation:
        outputs = self.source.outputs(self.task.val) if self.outputs is None else self.outputs
        return Evaluation(_logits(self.teacher, *outputs), self.task.val.labels)
