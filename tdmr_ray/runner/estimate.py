"""Estimated duration of a search: steps are counted, and one step of each target is timed."""

from time import perf_counter

from tdmr_ray.data.task import Task
from tdmr_ray.space import Space
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.controls import Control, build_control
from tdmr_ray.training.distill import Distillation

SHARE_OF_EPOCHS = 0.57
"""Share of all epochs that trials with early stopping run; from benchmarks/pruning_replay.py."""

TEACHER_STEPS = 150
"""Cost of a teacher with its outputs, in steps of a target; measured on vit_mobile.yaml."""


def estimate_seconds(space: Space, task: Task, slots: int) -> tuple[float, float]:
    """Estimate the wall time of the search and of its confirmation, `slots` trials at a time."""
    config = space.config(space.default_values(), *space.all_pairs[0])
    distil = space.budget.epochs * batches_per_epoch(len(task.train), config.distill.batch_size)
    step_s = sum(_step_seconds(space, task, name) for name in space.pairs.by_name) / len(space.pairs.by_name)
    search = space.budget.trials * (SHARE_OF_EPOCHS * distil + TEACHER_STEPS)
    return search * step_s / slots, _confirmation_steps(space, distil) * step_s / slots


def _confirmation_steps(space: Space, distil: int) -> float:
    """Return the optimisation steps of everything after the search; a trial of the search has `distil` steps."""
    confirm = space.confirm
    if not confirm.top:
        return 0
    controls = [build_control(settings) for settings in confirm.controls]
    runs = len(confirm.seeds) * (2 if confirm.refit else 1) + (confirm.cv_folds or 0)
    tries = confirm.rival_trials
    if tries is None:
        tries = space.budget.trials // len(space.all_pairs)
    tuned = sum(_places(space, control) for control in controls if control.trains)
    rivals = sum(_places(space, control) * _length(control, confirm.steps) for control in controls)
    finalists = confirm.top * len(space.all_pairs) * (confirm.steps + TEACHER_STEPS)
    return (tuned * tries * SHARE_OF_EPOCHS * distil if tries > 1 else 0) + runs * (finalists + confirm.top * rivals)


def _places(space: Space, control: Control) -> int:
    """Return how often a control runs for each seed: for each pair, or for each target if pairs share it."""
    return len(space.all_pairs) if control.has_foundation else len(space.pairs.by_name)


def _length(control: Control, steps: int) -> int:
    """Return the length of a control in optimisation steps."""
    return (steps if control.trains else 0) + (TEACHER_STEPS if control.has_foundation else 0)


def _step_seconds(space: Space, task: Task, target: str) -> float:
    """Time an optimisation step of a target in its second epoch, at a learning rate that cannot diverge."""
    config = space.config(space.default_values(), space.all_pairs[0][0], target)
    short = config.replace(method="scratch", distill__epochs=2, distill__num_stages=1, distill__lr=1e-4)
    run = Distillation(short, task, None)
    run.run_epoch()
    started = perf_counter()
    run.run_epoch()
    return (perf_counter() - started) / batches_per_epoch(run.num_images, config.distill.batch_size)
