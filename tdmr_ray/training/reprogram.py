"""Reprogramming: fit prompt and mapping of a frozen foundation to a task."""

from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tdmr_ray.data.task import Images, Task
from tdmr_ray.data.views import Views, ViewSettings, resolve_views
from tdmr_ray.method.component import FoundationShape, TaskFacts
from tdmr_ray.method.mappings import MAPPINGS
from tdmr_ray.method.prompts import PROMPTS
from tdmr_ray.method.teacher import SourceNetwork, Teacher
from tdmr_ray.models import Foundation
from tdmr_ray.training.batches import batches_per_epoch, cycle, epoch_batches
from tdmr_ray.training.best_weights import BestWeights
from tdmr_ray.training.config import Precision, TrialConfig
from tdmr_ray.training.device import autocast, check_finite
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.metrics import LOG_LOSS, preference
from tdmr_ray.training.micro_batches import MicroBatches, run_in_micro_batches
from tdmr_ray.training.pseudo_labels import pseudo_labeled
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


class InPrecision:
    """A foundation that runs in a precision and returns fp32, so that prompt and mapping stay in fp32."""

    def __init__(self, foundation: SourceNetwork, precision: Precision) -> None:
        self.foundation, self.precision = foundation, precision

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Map images [B, 3, S, S] in 0..1 to features [B, d]."""
        with autocast(self.precision, images.device):
            return self.foundation.features(images, tokens).float()

    def source_logits(self, features: Tensor) -> Tensor:
        """Map features [B, d] to source logits [B, S]."""
        with autocast(self.precision, features.device):
            return self.foundation.source_logits(features).float()


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
    )


def fit_teacher(
    config: TrialConfig, task: Task, foundation: Foundation, device: torch.device, workers: Workers = ALONE
) -> FittedTeacher:
    """Reprogram a foundation with the labelled images of a task; the epoch that is best on val is kept.

    Without a val split the last epoch is kept. With `pseudo_labels.rounds`, the kept teacher then labels the other
    images and learns again from all of them.

    Raises:
        NonFiniteLoss: If the loss diverges.
        ValueError: If prompt or mapping do not fit the foundation or the task.
    """
    teacher = build_teacher(config, foundation.to(device), task.num_classes).to(device)
    teacher.prompt.start_from(task.labeled.images.to(device).float().div(255.0))
    if teacher.mapping.refits is not None:
        _refit(teacher, task.labeled, device, prompted=teacher.mapping.refits.prompted)
    unmixed = resolve_views(config.views, task.preset).unmixed()
    tracker, micro_batches = (
        _Tracker(teacher, task, device, config.objective, workers),
        MicroBatches(may_divide=workers.count == 1),
    )
    _learn(config, teacher, task.labeled, unmixed, tracker, micro_batches, workers)
    for _ in range(config.pseudo_labels.rounds if task.num_labeled < len(task.train) else 0):
        tracker.load_best()
        threshold = config.pseudo_labels.threshold
        filled = pseudo_labeled(task, lambda images: teacher(images).logits, threshold=threshold)
        if teacher.mapping.refits is not None and teacher.mapping.refits.on_pseudo_labels:
            _refit(teacher, filled.labeled, device, prompted=teacher.mapping.refits.prompted)
            tracker.measure({})
        _learn(config, teacher, filled.labeled, unmixed, tracker, micro_batches, workers)
    tracker.load_best()
    notes = micro_batches.notes("teacher", config.reprogram.batch_size)
    return FittedTeacher(teacher, tracker.history, tracker.kept.metrics if tracker.kept else {}, notes)


def _learn(
    config: TrialConfig,
    teacher: Teacher,
    labeled: Images,
    view_settings: ViewSettings,
    tracker: "_Tracker",
    micro_batches: MicroBatches,
    workers: Workers,
) -> None:
    """Train for one cycle if anything is trained; refit the mapping before each epoch if it asks for that.

    Each worker sees its part of every batch; the gradient that they average is that of the whole batch's mean loss.
    """
    if not teacher.learns:
        return
    settings, device = config.reprogram, tracker.device
    views = Views(labeled.images, view_settings, seed=config.seed, device=device)
    trained, optimizer = workers.wrap(teacher), _build_optimizer(teacher)
    refits = teacher.mapping.refits
    num_steps = settings.epochs * batches_per_epoch(len(labeled), settings.batch_size)
    step = 0
    for epoch in range(settings.epochs):
        if refits is not None and refits.each_epoch and epoch:
            _refit(teacher, labeled, device, prompted=True)
        teacher.train()
        total, seen = 0.0, 0
        started = perf_counter()
        batches = epoch_batches(len(labeled), batch_size=settings.batch_size, epoch=epoch, seed=config.seed)
        for batch in batches:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * cycle(step / num_steps)
            part = batch.part(workers.rank, workers.count)
            shown = views.batch(part.rows, part.views).images, labeled.labels[part.rows].to(device)
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
    images: Tensor,
    labels: Tensor,
    divisor: float,
    num_micro_batches: int,
) -> float:
    """Leave the gradient of a batch's summed loss over a divisor in the parameters; return that sum."""
    optimizer.zero_grad()
    _, logits = run_in_micro_batches(trained, images, num_micro_batches)
    summed = cross_entropy(logits, labels, reduction="sum")
    (summed / divisor).backward()
    return float(summed.detach())


def _build_optimizer(teacher: Teacher) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = [
        {"params": group.parameters, "peak": group.lr, "lr": group.lr, "weight_decay": group.weight_decay}
        for group in (*teacher.mapping.parameter_groups(), *teacher.prompt.parameter_groups())
    ]
    return torch.optim.AdamW(groups)


def _refit(teacher: Teacher, labeled: Images, device: torch.device, *, prompted: bool) -> None:
    """Fit the mapping in closed form to the labelled images without augmentation."""
    features, source_logits = _source_outputs(teacher, labeled, device, prompted=prompted)
    with torch.no_grad():
        teacher.mapping.refit(features, source_logits, labeled.labels.to(device))


@torch.no_grad()
def _source_outputs(
    teacher: Teacher, images: Images, device: torch.device, *, prompted: bool = True
) -> tuple[Tensor, Tensor]:
    """Run the foundation on images without augmentation: features [N, d] and source logits [N, S]."""

    def run(part: Tensor) -> tuple[Tensor, Tensor]:
        return teacher.source(part.to(device).float().div(255.0), prompted=prompted)

    parts = MicroBatches().map(images.images, run)
    features, source_logits = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return features, source_logits


class _Tracker:
    """Measures a teacher on val after each epoch and keeps its best weights by the objective.

    Without a val split nothing is measured, and the teacher keeps the weights that it has. Under a prompt without
    parameters the foundation's outputs for val never change, so it runs once.

    Attributes:
        kept: Logits for val of the best weights; None without a val split.
    """

    def __init__(self, teacher: Teacher, task: Task, device: torch.device, objective: str, workers: Workers) -> None:
        self.teacher, self.task, self.device = teacher, task, device
        self.objective, self.workers = objective, workers
        self.history: History = []
        self.best = BestWeights()
        self.has_val = len(task.val) > 0
        measured_once = self.has_val and not teacher.prompt.learns
        self.source = _source_outputs(teacher.eval(), task.val, device) if measured_once else None
        self.kept: Evaluation | None = None
        self.measure({}, may_win=not teacher.mapping.starts_blank)

    def measure(self, metrics: dict[str, float], *, may_win: bool = True) -> None:
        """Add a row of the history: these metrics, the objective and the accuracy on val.

        Args:
            metrics: Further metrics of the row.
            may_win: Whether these weights may be kept. A blank mapping answers one class, which has the best accuracy
                where nearly all images are of that class.
        """
        self.teacher.eval()
        if not self.has_val:
            self.history.append(metrics)
            return
        measured = self._evaluate()
        found = self.workers.mean(measured.measure((self.objective, "top1", LOG_LOSS)))
        self.history.append({**metrics, **{f"reprogram/val_{name}": value for name, value in found.items()}})
        if may_win and self.best.offer(self.teacher, *preference(found, self.objective)):
            self.kept = measured

    def load_best(self) -> None:
        """Return to the weights that were best on val, if any were measured."""
        self.best.load_into(self.teacher)
        self.teacher.eval()

    @torch.no_grad()
    def _evaluate(self) -> Evaluation:
        if self.source is None:
            return evaluate(lambda images: self.teacher(images).logits, self.task.val, device=self.device)
        _, logits = self.teacher.mapping(*self.source)
        return Evaluation(logits.float().cpu(), self.task.val.labels)
