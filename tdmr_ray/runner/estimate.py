"""Estimated duration of a search: steps and foundation passes are counted, and one of each is timed."""

from dataclasses import dataclass, replace
from statistics import mean
from time import perf_counter

import torch

from tdmr_ray.data.task import Task
from tdmr_ray.models import Foundation
from tdmr_ray.space import Space
from tdmr_ray.training.batches import batches_per_epoch, views_per_epoch
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.controls import Control, build_control
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.features import NUM_SHARED_VIEWS, num_feature_views
from tdmr_ray.training.memory import reuse_freed_memory
from tdmr_ray.training.networks import resident_foundation
from tdmr_ray.training.reprogram import build_teacher
from tdmr_ray.tuning.draws import draw_configs

SHARE_OF_EPOCHS = 0.57
"""Share of all epochs that trials with early stopping run; from benchmarks/pruning_replay.py."""
MOST_DRAWS = 60
"""Configurations that stand for all trials of a search."""
TIMED_IMAGES = 8
TIMED_STEPS = 2
BACKWARD = 3
"""Passes that a forward and backward pass to the prompt costs."""
LONG_S = 600.0
"""Duration from which on the user hears what would shorten it."""


@dataclass(frozen=True)
class Work:
    """What a part of a search takes on one core, in seconds.

    Attributes:
        teachers: Running foundations.
        targets: Training targets.
    """

    teachers: float = 0.0
    targets: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.teachers + other.teachers, self.targets + other.targets)

    @property
    def total(self) -> float:
        """Seconds of both."""
        return self.teachers + self.targets


@dataclass(frozen=True)
class Forecast:
    """Estimated wall time of a search, in seconds.

    Attributes:
        search: The trials of the search.
        confirmation: Everything after them.
    """

    search: Work
    confirmation: Work

    @property
    def whole(self) -> Work:
        """Both parts."""
        return self.search + self.confirmation

    @property
    def advice(self) -> str:
        """What would shorten a long search; '' for a short one."""
        whole = self.whole
        if whole.total < LONG_S:
            return ""
        if whole.teachers > whole.targets:
            return (
                "most of this time goes into running the foundation: half of its image_px takes about a quarter of it, "
                "half of outputs.num_views and prompts of size 0 save as well"
            )
        return (
            "most of this time goes into training targets: it falls with confirm.steps, the number of confirm.seeds, "
            "budget.trials and budget.epochs; --trials 8 and --set confirm.steps=... are a quick first look"
        )


def forecast(space: Space, task: Task, slots: int) -> Forecast:
    """Estimate the wall time of a search, `slots` trials at a time. Loads each foundation and runs it once."""
    reuse_freed_memory()
    draws = draw_configs(space, min(space.budget.trials, MOST_DRAWS))
    foundations = {label: _Timed.load(space, label) for label in space.pairs.by_label}
    step_s = mean(_step_seconds(space, task, name) for name in space.pairs.by_name)
    distil = space.budget.epochs * batches_per_epoch(len(task.train), draws[0].distill.batch_size)
    features = sum(
        _feature_passes(config, task) * foundations[config.foundation.label].image_s
        for config in {config.foundation.label: config for config in draws}.values()
    )
    own = [_own_passes(config, task, foundations[config.foundation.label]) for config in draws]
    own_s = [passes * foundations[config.foundation.label].image_s for passes, config in zip(own, draws, strict=True)]
    different = {_teacher_hash(config): seconds for config, seconds in zip(draws, own_s, strict=True)}
    repeats = space.budget.trials / len(draws)
    search = Work(features + sum(different.values()) * repeats, space.budget.trials * SHARE_OF_EPOCHS * distil * step_s)
    confirmation = _confirmation(space, distil, mean(own_s), features, step_s)
    return Forecast(_divided(search, slots), _divided(confirmation, slots))


def _divided(work: Work, slots: int) -> Work:
    return Work(work.teachers / slots, work.targets / slots)


@dataclass(frozen=True)
class _Timed:
    """A foundation and the seconds that it takes for an image."""

    foundation: Foundation
    image_s: float

    @classmethod
    @torch.no_grad()
    def load(cls, space: Space, label: str) -> "_Timed":
        foundation = resident_foundation(space.pairs.by_label[label])
        images = torch.rand(TIMED_IMAGES, 3, foundation.spec.size_px, foundation.spec.size_px, device=pick_device())
        foundation.features(images[:1])
        started = perf_counter()
        foundation.features(images)
        return cls(foundation, (perf_counter() - started) / TIMED_IMAGES)


def _feature_passes(config: TrialConfig, task: Task) -> int:
    """Return the images that a foundation sees for the features that teachers share."""
    return (1 + num_feature_views(config)) * (len(task.train) + len(task.val))


def _own_passes(config: TrialConfig, task: Task, timed: _Timed) -> int:
    """Return the images that a foundation sees for one teacher alone, with a learned prompt or mixed views."""
    outputs = (config.outputs.num_different_views or 0) * len(task.train)
    if not build_teacher(config, timed.foundation, task.num_classes).prompt.learns:
        return outputs if config.views.mix else 0
    averages = (1 + NUM_SHARED_VIEWS) * len(task.train) if config.outputs.view_averaging else 0
    learning = config.reprogram.epochs * (BACKWARD * views_per_epoch(task.num_labeled) + len(task.val))
    return outputs + averages + learning


def _teacher_hash(config: TrialConfig) -> str:
    return hash_json(config.model_dump(mode="json", include={"foundation", *TrialConfig.teacher_sections()}))


def _confirmation(space: Space, distil: int, teacher_s: float, features: float, step_s: float) -> Work:
    """Return the work after the search.

    Args:
        space: The space.
        distil: Optimisation steps of a trial of the search.
        teacher_s: Seconds that a teacher takes beyond shared features, on average.
        features: Seconds that the features of all foundations take.
        step_s: Seconds of an optimisation step.
    """
    confirm = space.confirm
    if not confirm.top:
        return Work()
    controls = [build_control(settings) for settings in confirm.controls]
    folds = confirm.cv_folds or 0
    runs = len(confirm.seeds) * (2 if confirm.refit else 1) + folds
    tries = confirm.rival_trials
    if tries is None:
        tries = space.budget.trials // len(space.all_pairs)
    trained = sum(_places(space, control) for control in controls if control.trains)
    finalists = confirm.top * len(space.all_pairs)
    tuning = trained * tries * SHARE_OF_EPOCHS * distil if tries > 1 else 0
    steps = tuning + runs * (finalists + confirm.top * trained) * confirm.steps
    return Work(runs * finalists * teacher_s + folds * features, steps * step_s)


def _places(space: Space, control: Control) -> int:
    """Return how often a control runs for each seed: for each pair, or for each target if pairs share it."""
    return len(space.all_pairs) if control.has_foundation else len(space.pairs.by_name)


def _step_seconds(space: Space, task: Task, target: str) -> float:
    """Time a few optimisation steps of a target, at a learning rate that cannot diverge; add a step's share of val."""
    config = space.config(space.default_values(target), space.all_pairs[0][0], target)
    short = config.replace(method="scratch", distill__epochs=2, distill__num_stages=1, distill__lr=1e-4)
    few = replace(task, val=task.val.pick(slice(config.distill.batch_size)))
    run = Distillation(short, few, None, length=TIMED_STEPS * config.distill.batch_size)
    run.run_epoch()
    image_s = 1 / run.run_epoch()["images_per_s"]
    views = views_per_epoch(run.num_images)
    return image_s * (views + len(task.val) / BACKWARD) / batches_per_epoch(run.num_images, config.distill.batch_size)
