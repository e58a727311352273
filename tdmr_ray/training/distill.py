"""Distillation: a target learns from teacher outputs, stage by stage; without a teacher from labels alone."""

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Task
from tdmr_ray.data.views import ViewBatch
from tdmr_ray.method.losses import LOSSES, balanced_weights
from tdmr_ray.method.schedules import Moment
from tdmr_ray.method.stages import Stage, stage_at
from tdmr_ray.method.teacher import ProxySpace
from tdmr_ray.models import Target
from tdmr_ray.training.activity import doing
from tdmr_ray.training.batches import Batch, cycle, epoch_batches, views_per_epoch
from tdmr_ray.training.best_on_val import BestOnVal
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import check_finite, pick_device
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.fitted_classifier import fit_classifier, starts_fitted
from tdmr_ray.training.learner import build_learner, freeze_batch_norm, keeps_batch_norm, run_target
from tdmr_ray.training.metrics import LOG_LOSS, named
from tdmr_ray.training.micro_batches import MicroBatches
from tdmr_ray.training.objective import BatchLabels, BatchOutputs, loss_terms, weighted_sum
from tdmr_ray.training.stage_plan import past_share, stages_of
from tdmr_ray.training.teacher_outputs import TeacherOutputs, average_over_views, mix_of_images, training_views
from tdmr_ray.training.workers import ALONE, Metrics, Workers


class Distillation:
    """One training of a target, an epoch at a time.

    Every random choice of an epoch follows from seed and epoch, so that a restored training continues as if it had
    never stopped. The weights that are best on val are kept, or the last ones without a val split. A new stage starts
    from them, and their own logits for the training images join the teacher's with `distill.self_distillation_weight`,
    or as those of one more member after a stage with labels alone. The training ends at `distill.stop_at`, or when val
    has not improved for `distill.patience`, of which a stage with labels alone does not count.

    Args:
        config: The trial.
        task: Its images.
        outputs: Teacher outputs; None trains with labels alone, on labelled images.
        workers: Processes that train this target together.
        length: Views in an epoch; None is `views_per_epoch` of its images.

    Attributes:
        epoch: Epochs that have ended.
        steps: Optimisation steps that were taken.
        best: The weights that are best on val; without a val split, only the number of the last epoch.
    """

    def __init__(
        self,
        config: TrialConfig,
        task: Task,
        outputs: TeacherOutputs | None,
        workers: Workers = ALONE,
        *,
        length: int | None = None,
    ) -> None:
        self.config, self.settings, self.task, self.outputs = config, config.distill, task, outputs
        self.length, self.workers, self.device = length, workers, pick_device()
        self.micro_batches = MicroBatches(may_divide=workers.count == 1)
        self.num_images = task.num_labeled if outputs is None else len(task.train)
        self.views = training_views(config, task)
        self.stages = stages_of(config, has_teacher=outputs is not None)
        self.past_share = past_share(config, self.stages)
        self.epoch = self.steps = 0
        self.logit_loss = LOSSES[config.loss.kind](config.loss)
        self.class_weights = _class_weights(config, task, self.device)
        self.learner = build_learner(config, task, None if outputs is None else outputs.embedding_dim).to(self.device)
        self.trained = workers.wrap(self.learner)
        self.optimizer = self._new_optimizer()
        self.best = BestOnVal(config.objective, workers)
        self.past_logits: Tensor | None = None

    @property
    def num_epochs(self) -> int:
        """Epochs of the whole schedule, some of which may be left out."""
        return self.settings.epochs

    @property
    def done(self) -> bool:
        """Whether the last epoch has ended, or val has not improved for too long."""
        first = self.stages[0]
        waited = self.epoch - max(self.best.epoch, first.num_epochs if first.only_labels else 0)
        return self.epoch >= self.settings.last_epoch or waited >= self.settings.patience_epochs

    @property
    def num_views_per_epoch(self) -> int:
        """Views that all workers see in an epoch."""
        return sum(len(batch.rows) for batch in self._batches(self.epoch))

    @property
    def notes(self) -> list[str]:
        """Remarks on how the target was trained."""
        return self.micro_batches.notes("target", self.settings.batch_size)

    def run_epoch(self) -> Metrics:
        """Train for one epoch and measure on val, if there is a val split.

        Raises:
            NonFiniteLoss: If a loss diverges.
        """
        if self.epoch == 0:
            self._start()
        if self.settings.stop_at == 0:
            return self._keep_start()
        stage = stage_at(self.stages, self.epoch)
        if stage.index and self.epoch == stage.first_epoch:
            self._start_stage_from_best()
        torch.manual_seed(self.config.seed * 1_000_003 + self.epoch)
        started = perf_counter()
        metrics = self._train(stage)
        seconds = perf_counter() - started
        metrics = self.workers.mean(metrics)
        check_finite(metrics, f"epoch {self.epoch + 1}")
        metrics["images_per_s"] = self.num_views_per_epoch / seconds
        self.epoch += 1
        metrics |= self._measure()
        counts = {"steps": self.steps, "best_epoch": self.best.epoch}
        return {"epoch": self.epoch, "stage": stage.index + 1, **counts, **metrics}

    def best_target(self) -> Target:
        """Return the target with the weights that were best on val, or with the last ones without a val split."""
        self.best.load_into(self.learner)
        return self.learner.target

    def measure_best(self) -> Metrics:
        """Return all metrics on val of the best weights, by name; every worker must call it."""
        if not len(self.task.val):
            return {}
        return self.workers.mean(Evaluation(self.best.logits, self.task.val.labels).metrics)

    def evaluate_on(self, split: str, target: Target | None = None) -> Evaluation:
        """Measure a target on `val` or `test`; None is the target with its current weights."""
        target = (target or self.learner.target).eval()
        images = self.task.val if split == "val" else self.task.test

        def predict(batch: Tensor) -> Tensor:
            return run_target(target, batch.to(memory_format=torch.channels_last), self.config.precision).logits

        return evaluate(predict, images, device=self.device)

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs to continue after the last finished epoch."""
        return {
            "epoch": self.epoch,
            "steps": self.steps,
            "learner": self.learner.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best.state(),
            "past_logits": self.past_logits,
            "num_micro_batches": self.micro_batches.count,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of the same configuration."""
        self.epoch, self.steps = state["epoch"], state["steps"]
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best.restore(state["best"])
        self.past_logits = state["past_logits"]
        self.micro_batches.count = state["num_micro_batches"]

    def _new_optimizer(self) -> torch.optim.Optimizer:
        groups = [
            {"params": group.parameters, "weight_decay": group.weight_decay}
            for group in self.learner.parameter_groups(self.settings)
        ]
        return torch.optim.AdamW(groups, lr=self.settings.lr, fused=True)

    def _batches(self, epoch: int) -> list[Batch]:
        only_labels = stage_at(self.stages, min(epoch, self.num_epochs - 1)).only_labels
        return list(
            epoch_batches(
                self.task.num_labeled if only_labels else self.num_images,
                batch_size=self.settings.batch_size,
                epoch=epoch,
                seed=self.config.seed,
                num_views=None if self.outputs is None else self.outputs.num_views,
                length=self.length or views_per_epoch(self.num_images),
            )
        )

    def _train(self, stage: Stage) -> Metrics:
        self.trained.train()
        if keeps_batch_norm(self.config):
            freeze_batch_norm(self.learner.target)
        batches = self._batches(self.epoch)
        num_steps = len(batches)
        totals: dict[str, Tensor] = {}
        for number, batch in enumerate(batches):
            doing(f"epoch {self.epoch + 1} of {self.num_epochs}, batch {number + 1} of {num_steps}")
            done = number + num_steps * (self.epoch - stage.first_epoch)
            lr = self.settings.lr * cycle(done / (num_steps * stage.num_epochs))
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            progress = (number + num_steps * self.epoch) / (num_steps * self.num_epochs)
            moment = Moment(progress, stage.index, len(self.stages))
            terms, temperature = self._step(stage, batch, moment)
            for name, value in terms.items():
                totals[name] = totals.get(name, torch.zeros(())) + value
        self.steps += num_steps
        means = {f"train/{name}": float(total) / len(batches) for name, total in totals.items()}
        return {**means, "temperature": temperature, "lr": lr}

    def _step(self, stage: Stage, batch: Batch, moment: Moment) -> tuple[dict[str, Tensor], float]:
        """Take one optimisation step; return the terms of its loss and the temperature."""
        result = self.micro_batches.retry(len(batch.rows), partial(self._backward, stage, batch, moment))
        nn.utils.clip_grad_norm_(self.learner.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        return result

    def _backward(
        self, stage: Stage, batch: Batch, moment: Moment, num_micro_batches: int
    ) -> tuple[dict[str, Tensor], float]:
        """Leave the gradient of a batch's loss in the learner; return its terms and the temperature."""
        self.optimizer.zero_grad()
        own = batch.part(self.workers.rank, self.workers.count)
        view = self.views.batch(own.rows, own.views)
        labels = BatchLabels.of(view, self.task.train, self.device)
        proxy = self._teacher_outputs(view)
        images = view.images.to(self.device, memory_format=torch.channels_last)
        features, logits, temperature = self.trained(images, stage.detach_head, moment, num_micro_batches)
        outputs = BatchOutputs(features, logits, labels, proxy).joined(self.workers, len(batch.rows))
        terms = loss_terms(
            outputs,
            temperature,
            alignment=self.learner.alignment,
            logit_loss=self.logit_loss.at(moment),
            class_weights=self.class_weights,
        )
        loss = weighted_sum(terms, stage.weights, self.device)
        loss.backward()
        shown = {"loss": loss, "top1": outputs.labels.top1(outputs.logits), **terms}
        named = {name: term.detach().cpu() for name, term in shown.items()}
        return named, float(torch.as_tensor(temperature).detach())

    def _teacher_outputs(self, view: ViewBatch) -> ProxySpace | None:
        """Look up the teacher outputs for a batch of views, with the target's own past logits blended in."""
        if self.outputs is None:
            return None
        embedding, logits = self.outputs.batch(view)
        if self.past_logits is not None:
            logits = torch.lerp(logits, mix_of_images(self.past_logits, view), self.past_share)
        return ProxySpace(embedding.to(self.device), logits.to(self.device))

    def _measure(self) -> Metrics:
        """Measure the current weights on val and keep them if they are the best so far."""
        self.workers.align(self.learner)
        if not len(self.task.val):
            self.best.epoch = self.epoch
            return {}
        now = self.best.offer(self.learner, self.evaluate_on("val"), epoch=self.epoch)
        shown = {name: now[name] for name in (self.config.objective, LOG_LOSS)}
        return {**named(self.best.metrics, "val"), **named(shown, "val", "_now")}

    def _start(self) -> None:
        """Fit the classifier to the target's own features if it starts so; this start is the first to be best on val.

        Source: Kumar et al. 2022 (LP-FT), arXiv 2202.10054: a random classifier distorts pretrained features.
        """
        if starts_fitted(self.learner.target, self.config.target):
            fit_classifier(self.learner.target, self.config, self.task)
            self._measure()

    def _keep_start(self) -> Metrics:
        """End without a training; val had chosen the start."""
        self.epoch = 1
        return {"epoch": 1, "stage": 1, "steps": 0, "best_epoch": 0, **self._measure()}

    def _start_stage_from_best(self) -> None:
        self.best.load_into(self.learner)
        self.optimizer = self._new_optimizer()
        self.past_logits = self._current_logits()

    @torch.no_grad()
    def _current_logits(self) -> Tensor | None:
        """Average the target's logits for each training image over views, [N, C]; None if they are not needed.

        Source: Kim et al. 2021 (PS-KD), arXiv 2006.12000: past predictions of a network become part of its targets.
        """
        if self.outputs is None or not self.past_share:
            return None
        target, precision = self.learner.target.eval(), self.config.precision
        return average_over_views(
            lambda images: ProxySpace(*run_target(target, images, precision)), self.views, self.device
        ).logits


def _class_weights(config: TrialConfig, task: Task, device: torch.device) -> Tensor | None:
    if config.distill.class_weights == "none":
        return None
    return balanced_weights(task.labeled.labels, task.num_classes).to(device)
