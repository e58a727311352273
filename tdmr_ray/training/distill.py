"""The second step of TDMR: a target learns from outputs, stage by stage; without outputs from labels alone."""

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Task
from tdmr_ray.data.views import ViewBatch
from tdmr_ray.method.learned_temperature import LearnedTemperature, reversal_strength
from tdmr_ray.method.losses import (
    LOSSES,
    Temperature,
    cka_alignment,
    cosine_alignment,
    label_loss,
    standardize_logits,
)
from tdmr_ray.method.schedule import temperature_at
from tdmr_ray.method.stages import Stage, TermWeights, plan_stages, stage_at
from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.models import Target, TargetOutput, load_target
from tdmr_ray.training.batches import MIN_VIEWS_PER_EPOCH, Batch, cycle, epoch_batches
from tdmr_ray.training.config import DistillConfig, Precision, TrialConfig
from tdmr_ray.training.device import autocast, check_finite, pick_device
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.micro_batches import MicroBatches, in_micro_batches
from tdmr_ray.training.teacher_outputs import TeacherOutputs, average_over_views, of_both_images, training_views
from tdmr_ray.training.workers import ALONE, Metrics, Workers


def ask_target(target: Target, images: Tensor, precision: Precision, *, detach_head: bool = False) -> TargetOutput:
    """What a target that runs in a precision says of images in 0..1, in fp32."""
    with autocast(precision, images.device):
        features, logits = target(images, detach_head)
    return TargetOutput(features.float(), logits.float())


class Learner(nn.Module):
    """All that is trained: a target, and what only its training needs.

    Args:
        target: To be trained.
        embedding_dim: Width of the embedding that its features are projected to; None compares without a projection.
        temperature: None where the schedule says it.
        precision: Of the target's forward pass.
    """

    def __init__(
        self,
        target: Target,
        embedding_dim: int | None,
        temperature: LearnedTemperature | None,
        precision: Precision,
    ) -> None:
        super().__init__()
        self.target, self.precision = target, precision
        self.projection = nn.Linear(target.feature_dim, embedding_dim) if embedding_dim else nn.Identity()
        self.temperature = temperature

    def forward(
        self, images: Tensor, detach_head: bool, progress: float, num_parts: int
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features ready for the alignment [B, d], logits [B, C], and the temperature if it is learned."""
        say = partial(ask_target, self.target, precision=self.precision, detach_head=detach_head)
        features, logits = in_micro_batches(say, images, num_parts)
        temperature = self.temperature(reversal_strength(progress)) if self.temperature else None
        return self.projection(features), logits, temperature


def loss_terms(
    settings: DistillConfig,
    features: Tensor,
    logits: Tensor,
    proxy: ProxySpace | None,
    labels: tuple[Tensor, Tensor, Tensor],
    temperature: Temperature,
) -> dict[str, Tensor]:
    """The named terms of a batch before their weights; those of the teacher only if there is one.

    Args:
        settings: Which losses.
        features: Of the target, ready for the alignment, [B, d].
        logits: Of the target, [B, C].
        proxy: What the teacher said, or None.
        labels: Own labels, partners' labels, ratio; see `label_loss`.
        temperature: T.
    """
    terms = {"labels": label_loss(logits, *labels)}
    if proxy is None:
        return terms
    align = cka_alignment if settings.alignment == "cka" else cosine_alignment
    terms["alignment"] = align(features, proxy.embedding)
    target_logits, teacher_logits = logits, proxy.logits
    if settings.standardize:
        target_logits, teacher_logits = standardize_logits(logits), standardize_logits(proxy.logits)
    terms["logits"] = LOSSES[settings.loss](target_logits, teacher_logits, temperature=temperature)
    return terms


class Distillation:
    """One training of a target, an epoch at a time.

    Every random choice of an epoch follows from seed and epoch, so that a restored training goes on as if it had
    never stopped. The weights that are best on val are kept (later ones win ties); a new stage starts from them, and
    with `distill.self_distillation_weight` what they say of the training images joins what the teacher says.

    Args:
        config: The trial.
        task: Its images.
        outputs: The teacher's; None trains with labels alone, on labelled images.
        workers: Who else trains this target.
        min_views: The least length of an epoch.
    """

    def __init__(
        self,
        config: TrialConfig,
        task: Task,
        outputs: TeacherOutputs | None,
        workers: Workers = ALONE,
        *,
        min_views: int = MIN_VIEWS_PER_EPOCH,
    ) -> None:
        self.config, self.settings, self.task, self.outputs = config, config.distill, task, outputs
        self.min_views = min_views
        self.workers, self.device = workers, pick_device()
        self.micro_batches = MicroBatches(may_divide=workers.count == 1)
        self.num_images = task.num_labeled if outputs is None else len(task.train)
        self.views = training_views(config, task)
        self.stages = self._plan()
        self.epoch = 0
        torch.manual_seed(config.seed)
        target = load_target(
            config.target.name,
            num_classes=task.num_classes,
            image_px=config.target.input_px or task.image_px,
            weights=config.target.weights,
        )
        projects = outputs is not None and self.settings.alignment == "project"
        embedding_dim = outputs.embedding_dim if outputs and projects else None
        self.learner = Learner(target, embedding_dim, self._learned_temperature(), config.precision)
        self.learner.to(self.device)
        self.trained = workers.wrap(self.learner)
        self.optimizer = self._new_optimizer()
        self.best_top1, self.best_loss = -1.0, float("inf")
        self.best_weights: dict[str, Tensor] = {}
        self.past_logits: Tensor | None = None

    @property
    def num_epochs(self) -> int:
        """Of the whole distillation."""
        return self.settings.epochs

    def run_epoch(self) -> Metrics:
        """Train for one epoch and measure on val.

        Raises:
            NonFiniteLoss: If a loss diverges.
        """
        stage = stage_at(self.stages, self.epoch)
        if stage.index and self.epoch == stage.first_epoch:
            self._start_from_best()
            self.past_logits = self._own_answers()
        torch.manual_seed(self.config.seed * 1_000_003 + self.epoch)
        started = perf_counter()
        metrics = self._train(stage)
        seconds = perf_counter() - started
        metrics = self.workers.mean(metrics)
        check_finite(metrics, f"epoch {self.epoch + 1}")
        metrics["images_per_s"] = self.num_views_per_epoch / seconds
        metrics |= self._measure()
        self.epoch += 1
        return {"epoch": self.epoch, "stage": stage.index + 1, **metrics}

    @property
    def num_views_per_epoch(self) -> int:
        """Samples that all workers see in an epoch."""
        return sum(len(batch.rows) for batch in self._batches(self.epoch))

    @property
    def notes(self) -> list[str]:
        """What a reader should know of how the target was trained."""
        return self.micro_batches.notes("target", self.settings.batch_size)

    def best_target(self) -> Target:
        """The target with the weights that were best on val."""
        self._load_best()
        return self.learner.target

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on after the last finished epoch."""
        return {
            "epoch": self.epoch,
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_weights": self.best_weights,
            "best": (self.best_top1, self.best_loss),
            "past_logits": self.past_logits,
            "num_parts": self.micro_batches.num_parts,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` of the same configuration."""
        self.epoch = state["epoch"]
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best_weights = dict(state["best_weights"])
        self.best_top1, self.best_loss = state["best"]
        self.past_logits = state["past_logits"]
        self.micro_batches.num_parts = state["num_parts"]

    def _plan(self) -> tuple[Stage, ...]:
        settings = self.settings
        if self.outputs is None:
            return plan_stages(1, settings.epochs, TermWeights(0.0, 0.0, 1.0))
        base = TermWeights(settings.alignment_weight, settings.logits_weight, settings.labels_weight)
        return plan_stages(settings.num_stages, settings.epochs, base)

    def _learned_temperature(self) -> LearnedTemperature | None:
        settings = self.config.temperature
        if settings.schedule != "learned":
            return None
        return LearnedTemperature(settings.start, settings.end)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        """AdamW; decay would draw a learned temperature to the middle of its range."""
        settings, learner = self.settings, self.learner
        networks = [*learner.target.parameters(), *learner.projection.parameters()]
        groups = [{"params": networks, "weight_decay": settings.weight_decay}]
        if learner.temperature:
            groups.append({"params": list(learner.temperature.parameters()), "weight_decay": 0.0})
        return torch.optim.AdamW(groups, lr=settings.lr, fused=True)

    def _batches(self, epoch: int) -> list[Batch]:
        num_views = None if self.outputs is None else self.outputs.num_views
        return list(
            epoch_batches(
                self.num_images,
                batch_size=self.settings.batch_size,
                epoch=epoch,
                seed=self.config.seed,
                num_views=num_views,
                min_views=self.min_views,
            )
        )

    def _train(self, stage: Stage) -> Metrics:
        self.trained.train()
        batches = self._batches(self.epoch)
        num_steps = len(batches)
        totals: dict[str, Tensor] = {}
        for number, batch in enumerate(batches):
            done = number + num_steps * (self.epoch - stage.first_epoch)
            lr = self.settings.lr * cycle(done / (num_steps * stage.num_epochs))
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            progress = (number + num_steps * self.epoch) / (num_steps * self.num_epochs)
            terms, temperature = self._step(stage, batch.part(self.workers.rank, self.workers.count), progress)
            for name, value in terms.items():
                totals[name] = totals.get(name, torch.zeros(())) + value
        means = {f"train/{name}": float(total) / len(batches) for name, total in totals.items()}
        return {**means, "temperature": float(torch.as_tensor(temperature).detach()), "lr": lr}

    def _scheduled_temperature(self, stage: Stage, progress: float) -> float:
        settings = self.config.temperature
        return temperature_at(
            settings.schedule,
            progress,
            start=settings.start,
            end=settings.end,
            stage=stage.index,
            num_stages=len(self.stages),
        )

    def _step(self, stage: Stage, batch: Batch, progress: float) -> tuple[dict[str, Tensor], Temperature]:
        said = self.micro_batches.run_with_retry(len(batch.rows), partial(self._gradients, stage, batch, progress))
        nn.utils.clip_grad_norm_(self.learner.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        return said

    def _gradients(
        self, stage: Stage, batch: Batch, progress: float, num_parts: int
    ) -> tuple[dict[str, Tensor], Temperature]:
        """Leave the gradient of a batch's loss in the learner; its terms by name, and the temperature."""
        self.optimizer.zero_grad()
        view = self.views.batch(batch.rows, batch.views)
        labels = self._labels(view)
        proxy = None
        if self.outputs is not None:
            said = self.outputs.batch(view)
            logits = self._with_own_answers(said.logits, view)
            proxy = ProxySpace(said.embedding.to(self.device), logits.to(self.device))
        images = view.images.to(self.device, memory_format=torch.channels_last)
        features, logits, temperature = self.trained(images, stage.detach_head, progress, num_parts)
        if temperature is None:
            temperature = self._scheduled_temperature(stage, progress)
        terms = loss_terms(self.settings, features, logits, proxy, labels, temperature)
        weights = {"alignment": stage.weights.alignment, "logits": stage.weights.logits, "labels": stage.weights.labels}
        loss = sum((weights[name] * term for name, term in terms.items()), torch.zeros((), device=self.device))
        loss.backward()
        known = labels[0] >= 0
        right = (logits.detach().argmax(dim=1) == labels[0])[known].float()
        top1 = right.mean() if len(right) else torch.zeros(())
        named = {name: term.detach().cpu() for name, term in terms.items()}
        return {"loss": loss.detach().cpu(), "top1": top1.cpu(), **named}, temperature

    @torch.no_grad()
    def _own_answers(self) -> Tensor | None:
        """What the target says of each training image as a whole, [N, C]; None if that does not count.

        Source: Kim et al. 2021 (PS-KD), arXiv 2006.12000: a target's past answers join what it learns from.
        """
        if self.outputs is None or not self.settings.self_distillation_weight:
            return None
        target, precision = self.learner.target.eval(), self.config.precision
        return average_over_views(
            lambda images: ProxySpace(*ask_target(target, images, precision)), self.views, self.device
        ).logits

    def _with_own_answers(self, logits: Tensor, view: ViewBatch) -> Tensor:
        if self.past_logits is None:
            return logits
        own = of_both_images(self.past_logits, view)
        return torch.lerp(logits, own, self.settings.self_distillation_weight)

    def _labels(self, view: ViewBatch) -> tuple[Tensor, Tensor, Tensor]:
        labels = self.task.train.labels
        parts = (labels[view.rows], labels[view.partner], view.ratio)
        return parts[0].to(self.device), parts[1].to(self.device), parts[2].to(self.device)

    def _measure(self) -> Metrics:
        self.workers.align(self.learner)
        measured = self.evaluate_on("val", self.learner.target)
        top1, loss = self.workers.mean({"top1": measured.top1, "loss": measured.loss}).values()
        if (top1, -loss) >= (self.best_top1, -self.best_loss):
            self.best_top1, self.best_loss = top1, loss
            self.best_weights = {name: value.detach().clone() for name, value in self.learner.state_dict().items()}
        return {
            "val/top1": self.best_top1,
            "val/loss": self.best_loss,
            "val/top1_now": top1,
            "val/loss_now": loss,
        }

    def evaluate_on(self, part: str, target: Target) -> Evaluation:
        """Measure a target on `val` or `test`."""
        target.eval()
        images = self.task.val if part == "val" else self.task.test

        def predict(part: Tensor) -> Tensor:
            return ask_target(target, part.to(memory_format=torch.channels_last), self.config.precision).logits

        return evaluate(predict, images, device=self.device)

    def _load_best(self) -> None:
        if self.best_weights:
            self.learner.load_state_dict(self.best_weights)

    def _start_from_best(self) -> None:
        self._load_best()
        self.optimizer = self._new_optimizer()
