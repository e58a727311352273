"""Decisions about the budget: what fits into a time on a machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from tdmr_ray.durations import pretty_seconds
from tdmr_ray.initial.choice import Choice
from tdmr_ray.initial.facts import Machine
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.controls import CONTROLS

BATCH = 64
"""Default of `distill.batch_size`."""
SEEDS = (0, 1, 2)
SECONDS_PER_IMAGE, SECONDS_PER_MAC = 0.001, 1.8e-10
"""Forward and backward pass on one core. Measured 2026-11-29, in ms an image: 1.1 for mobilenetv3_small_050 at 32 px,
3.4 and 8.3 for mobilenetv3_small_100 at 96 and 160 px, 13.3 for efficientnet_lite0 at 96 px."""
GPU_SPEEDUP = 20
"""Assumed speed of a GPU relative to a core; not measured."""
SEARCH_SHARE, CONFIRM_SHARE = 0.4, 0.4
"""Shares of the time; the rest is for running the foundation."""
SHARE_OF_EPOCHS = 0.57
"""Share of all epochs that trials with early stopping run; see `runner/estimate.py`."""
PLANS = ((24, 30), (16, 30), (16, 20), (12, 20), (12, 12), (8, 12), (6, 8))
"""Numbers of trials and epochs, the most thorough first."""
MOST_STEPS, LEAST_STEPS = 1500, 100
"""Limits of `confirm.steps`; the first is its default."""


@dataclass(frozen=True)
class Workload:
    """What a search has to train.

    Attributes:
        num_train: Training images.
        macs: Multiply-accumulate operations of the target for an image, at its size; of the largest of several.
        controls: Rivals.
        num_pairs: Pairs of foundation and target.
        cv_folds: Folds of a cross-validation; 0 for none.
    """

    num_train: int
    macs: float
    controls: Sequence[str]
    num_pairs: int = 1
    cv_folds: int = 0

    @property
    def num_trained(self) -> int:
        """TDMR, and the rivals that train a target."""
        return 1 + sum(CONTROLS[name].trains for name in self.controls)

    def step_s(self, machine: Machine) -> float:
        """Return the assumed seconds of an optimisation step, if all processors share the trials."""
        image_s = SECONDS_PER_IMAGE + SECONDS_PER_MAC * self.macs
        return BATCH * image_s / (GPU_SPEEDUP if machine.gpu else machine.cores)


@dataclass(frozen=True)
class Budget:
    """Decisions about the length of a search."""

    trials: Choice[int]
    epochs: Choice[int]
    steps: Choice[int]


def budget(time_s: float, work: Workload, machine: Machine) -> Budget:
    """Return the most thorough search that fits into a time by a rough estimate.

    Args:
        time_s: Wall time of search and confirmation, in seconds.
        work: What is trained.
        machine: Where.
    """
    step_s = work.step_s(machine)
    epoch_s = SHARE_OF_EPOCHS * batches_per_epoch(work.num_train, BATCH) * step_s * work.num_trained
    fitting = [plan for plan in PLANS if plan[0] * plan[1] * epoch_s <= SEARCH_SHARE * time_s]
    trials, epochs = fitting[0] if fitting else PLANS[-1]
    took = pretty_seconds(trials * epochs * epoch_s)
    why = f"{trials} trials of {epochs} epochs, and as many tries for the rivals, take about {took} by a rough estimate"
    if not fitting:
        why += "; budget.time may end the search before"
    steps = confirmation_steps(CONFIRM_SHARE * time_s, work, machine)
    return Budget(
        Choice(trials, why), Choice(epochs, "passes over the training images, at least 500 views each"), steps
    )


def confirmation_steps(time_s: float, work: Workload, machine: Machine) -> Choice[int]:
    """Return the largest number of steps of a finalist and a rival that fits into a time."""
    runs = (2 * len(SEEDS) + work.cv_folds) * work.num_trained * work.num_pairs
    fitting = int(time_s / (runs * work.step_s(machine))) // 50 * 50
    steps = max(LEAST_STEPS, min(MOST_STEPS, fitting))
    took = pretty_seconds(steps * runs * work.step_s(machine))
    limits = {MOST_STEPS: "; more seldom helps", LEAST_STEPS: "; fewer would say little, so give more --time"}
    why = f"{runs} trainings of finalist and rivals take at most about {took} by the same estimate"
    return Choice(steps, why + (limits.get(steps, "; raise it if you have more time")))


def time_limit(text: str) -> Choice[str]:
    """Return the limit of the whole search."""
    return Choice(text, "limit of search and confirmation, as --time says; the first line of a run estimates it better")
