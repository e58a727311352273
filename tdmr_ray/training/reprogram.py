"""The first step of TDMR: fit prompt and mapping of a frozen foundation to a task."""

from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tdmr_ray.data.task import Images, Task
from tdmr_ray.data.views import Views
from tdmr_ray.method.label_mapping import LabelMapping
from tdmr_ray.method.prompts import Prompt, build_prompt
from tdmr_ray.method.teacher import SourceNetwork, Teacher, build_mapping, refit_mapping
from tdmr_ray.models import Foundation
from tdmr_ray.training.batches import batches_per_epoch, cycle, epoch_batches
from tdmr_ray.training.config import Precision, ReprogramConfig, TrialConfig
from tdmr_ray.training.device import autocast, check_finite
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.micro_batches import MicroBatches, in_micro_batches
from tdmr_ray.training.self_training import pseudo_labeled
from tdmr_ray.training.workers import ALONE, Workers

History = list[dict[str, float]]


@dataclass(frozen=True)
class FittedTeacher:
    """A teacher and how it came about.

    Attributes:
        teacher: With the weights of the epoch that is best on val.
        history: Metrics of each epoch; the first row is the teacher before any training.
        val_top1: Of the kept weights.
        notes: What a reader should know of it.
    """

    teacher: Teacher
    history: History
    val_top1: float
    notes: list[str]


class InPrecision:
    """A foundation that runs in a precision and answers in fp32; so prompt and mapping are in fp32, too."""

    def __init__(self, foundation: SourceNetwork, precision: Precision) -> None:
        self.foundation, self.precision = foundation, precision

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """As the foundation's."""
        with autocast(self.precision, images.device):
            return self.foundation.features(images, tokens).float()

    def source_logits(self, features: Tensor) -> Tensor:
        """As the foundation's."""
        with autocast(self.precision, features.device):
            return self.foundation.source_logits(features).float()


def build_teacher(config: TrialConfig, foundation: Foundation, num_classes: int) -> Teacher:
    """An untrained teacher: an empty prompt's start values and a mapping that has seen no data."""
    torch.manual_seed(config.seed)
    prompt = configured_prompt(config, image_px=foundation.spec.size_px, token_dim=foundation.token_dim)
    mapping = build_mapping(
        config.mapping.kind,
        feature_dim=foundation.feature_dim,
        num_source_classes=foundation.num_source_classes,
        num_classes=num_classes,
        dim=config.mapping.dim,
        smoothing=config.mapping.smoothing,
        top_k_fraction=config.mapping.top_k_fraction,
        seed=config.seed,
    )
    return Teacher(prompt, InPrecision(foundation, config.precision), mapping)


def configured_prompt(config: TrialConfig, *, image_px: int, token_dim: int = 0) -> Prompt:
    """The prompt of a trial with its start values, for a foundation's size of image and width of token."""
    settings = config.prompt
    return build_prompt(
        settings.kind,
        size_px=settings.size_px,
        image_px=image_px,
        patch_px=settings.patch_px,
        num_tokens=settings.num_tokens,
        token_dim=token_dim,
    )


def fit_teacher(
    config: TrialConfig, task: Task, foundation: Foundation, device: torch.device, workers: Workers = ALONE
) -> FittedTeacher:
    """Reprogram a foundation with the labelled images of a task; val decides which epoch is kept.

    With `pseudo_labels.rounds`, the kept teacher then labels the other images and learns again from all of them.

    Raises:
        NonFiniteLoss: If the loss diverges.
        ValueError: If a one-to-one mapping has too few source classes, the prompt leaves no room or the foundation
            takes no tokens.
    """
    teacher = build_teacher(config, foundation.to(device), task.num_classes).to(device)
    teacher.prompt.start_from(task.labeled.images.to(device).float().div(255.0))
    _refit(teacher, task.labeled, device, prompted=not _fitted_once(teacher))
    keeper, micro_batches = _BestOnVal(teacher, task, device), MicroBatches(may_divide=workers.count == 1)
    _learn(config, teacher, task.labeled, task.mirror, keeper, micro_batches, workers)
    for _ in range(config.pseudo_labels.rounds if task.num_labeled < len(task.train) else 0):
        keeper.load_best()
        threshold = config.pseudo_labels.threshold
        filled = pseudo_labeled(task, lambda images: teacher(images).logits, threshold=threshold)
        if isinstance(teacher.mapping, LabelMapping):
            _refit(teacher, filled.labeled, device, prompted=not _fitted_once(teacher))
            keeper.see({})
        _learn(config, teacher, filled.labeled, task.mirror, keeper, micro_batches, workers)
    keeper.load_best()
    return FittedTeacher(
        teacher, keeper.history, keeper.top1, micro_batches.notes("teacher", config.reprogram.batch_size)
    )


def _learn(
    config: TrialConfig,
    teacher: Teacher,
    labeled: Images,
    mirror: bool,
    keeper: "_BestOnVal",
    micro_batches: MicroBatches,
    workers: Workers,
) -> None:
    """One cycle of training, if anything is trained; a mapping made from counts is made again at every epoch.

    Each worker sees its part of every batch, and what they average is the gradient of the whole batch's mean loss.
    """
    if not teacher.learns:
        return
    settings, device = config.reprogram, keeper.device
    unmixed = config.views.model_copy(update={"mix": 0.0})
    views = Views(labeled.images, unmixed, seed=config.seed, mirror=mirror, device=device)
    trained, optimizer = workers.wrap(teacher), _build_optimizer(teacher, settings)
    num_steps = settings.epochs * batches_per_epoch(len(labeled), settings.batch_size)
    step = 0
    for epoch in range(settings.epochs):
        if _refits_each_epoch(teacher) and epoch:
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
            learn = partial(_gradients, trained, optimizer, *shown, len(batch.rows) / workers.count)
            summed = micro_batches.run_with_retry(len(part.rows), learn)
            optimizer.step()
            total, seen, step = total + summed, seen + len(batch.rows), step + 1
        (loss_mean,) = workers.mean({"reprogram/loss": total * workers.count / seen}).values()
        check_finite({"reprogram/loss": loss_mean}, f"reprogram epoch {epoch}")
        speed, lr = seen / (perf_counter() - started), float(optimizer.param_groups[0]["lr"])
        keeper.see({"reprogram/loss": loss_mean, "reprogram/lr": lr, "reprogram/images_per_s": speed})


def _gradients(
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    divisor: float,
    num_parts: int,
) -> float:
    """Leave the gradient of a batch's summed loss over a divisor in the parameters; that sum."""
    optimizer.zero_grad()
    _, logits = in_micro_batches(trained, images, num_parts)
    summed = cross_entropy(logits, labels, reduction="sum")
    (summed / divisor).backward()
    return float(summed.detach())


def _build_optimizer(teacher: Teacher, settings: ReprogramConfig) -> torch.optim.Optimizer:
    """AdamW that draws the mapping towards 0, but not the prompt: there 0 is a colour like any other."""
    pixels = [value for name, value in teacher.prompt.named_parameters() if name == "delta"]
    others = [value for name, value in teacher.prompt.named_parameters() if name != "delta"]
    groups: list[dict[str, Any]] = [
        {"params": list(teacher.mapping.parameters()), "peak": settings.lr, "weight_decay": settings.weight_decay},
        {"params": others, "peak": settings.lr, "weight_decay": 0.0},
        {"params": pixels, "peak": settings.prompt_lr, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.lr)


def _fitted_once(teacher: Teacher) -> bool:
    """Whether the mapping is defined by the un-prompted predictions."""
    return isinstance(teacher.mapping, LabelMapping) and teacher.mapping.rule.refit == "once"


def _refits_each_epoch(teacher: Teacher) -> bool:
    return isinstance(teacher.mapping, LabelMapping) and teacher.mapping.rule.refit == "epoch"


def _refit(teacher: Teacher, labeled: Images, device: torch.device, *, prompted: bool) -> None:
    """Show the labelled images, as they are, to the mapping."""
    features, source_logits = _source_of(teacher, labeled, device, prompted=prompted)
    refit_mapping(teacher.mapping, features, source_logits, labeled.labels.to(device))


@torch.no_grad()
def _source_of(
    teacher: Teacher, images: Images, device: torch.device, *, prompted: bool = True
) -> tuple[Tensor, Tensor]:
    """What the foundation says of images as they are: features [N, d] and source logits [N, S]."""

    def say(part: Tensor) -> tuple[Tensor, Tensor]:
        return teacher.source(part.to(device).float().div(255.0), prompted=prompted)

    answers = MicroBatches().ask(images.images, say)
    features, source_logits = (torch.cat(parts) for parts in zip(*answers, strict=True))
    return features, source_logits


class _BestOnVal:
    """Remembers the weights of the epoch that is best on val; later epochs win ties.

    Under a prompt that learns nothing the foundation says the same of val in every epoch, so it is asked once.
    """

    def __init__(self, teacher: Teacher, task: Task, device: torch.device) -> None:
        self.teacher, self.task, self.device = teacher, task, device
        self.history: History = []
        self.top1 = -1.0
        self.weights: dict[str, Tensor] = {}
        fixed = not any(value.requires_grad for value in teacher.prompt.parameters())
        self.source = _source_of(teacher.eval(), task.val, device) if fixed else None
        self.see({})

    @torch.no_grad()
    def _top1(self) -> float:
        if self.source is None:
            return evaluate(lambda images: self.teacher(images).logits, self.task.val, device=self.device).top1
        _, logits = self.teacher.mapping(*self.source)
        return Evaluation(logits.float().cpu(), self.task.val.labels).top1

    def see(self, metrics: dict[str, float]) -> None:
        """Measure the teacher as it is now."""
        self.teacher.eval()
        top1 = self._top1()
        self.history.append({**metrics, "reprogram/val_top1": top1})
        if top1 >= self.top1:
            self.top1 = top1
            self.weights = {name: value.detach().clone() for name, value in self.teacher.state_dict().items()}

    def load_best(self) -> None:
        """Back to the kept weights."""
        self.teacher.load_state_dict(self.weights)
        self.teacher.eval()
