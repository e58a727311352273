"""Estimated duration of a search: steps are counted, and one step of each target is timed."""

from time import perf_counter

from tdmr_ray.data.task import Task
from tdmr_ray.space import Space
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.controls import Control, build_control
from tdmr_ray.training.distill import Distillation

SHARE_OF_EPOCHS = 0.5
"""Share of all epochs that a search runs with early stopping; measured on vit_mobile.yaml."""

TEACHER_STEPS = 150
"""Cost of a teacher with its outputs, in steps of a target; measured on vit_mobile.yaml."""


def estimate_seconds(space: Space, task: Task, slots: int) -> tuple[float, float]:
    """Estimate the wall time of the search and of its confirmation, `slots` trials at a time."""
    config = space.config(space.default_values(), *space.all_pairs[0])
    distil = space.budget.epochs * batches_per_epoch(len(task.train), config.distill.batch_size)
    step_s = sum(_step_seconds(space, task, name) for name in space.pairs.by_name) / len(space.pairs.by_name)
    search = space.budget.trials * (SHARE_OF_EPOCHS * distil + TEACHER_STEPS)
    return search * step_s / slots, _confirmation_steps(space, distil) * step_s / slots


def _confirmation_steps(space: Space, distil: int) -> int:
    """Return the optimisation steps of the whole confirmation; a finalist has `distil` steps."""
    if not space.confirm.top:
        return 0
    controls = [build_control(settings) for settings in space.confirm.controls]
    each_seed = len(space.all_pairs) * distil + sum(_control_steps(space, control, distil) for control in controls)
    return len(space.confirm.seeds) * each_seed


def _control_steps(space: Space, control: Control, distil: int) -> int:
    """Return the optimisation steps of a control over all pairs, or over all targets if pairs share it."""
    if not control.has_foundation:
        longest = max(distil, space.confirm.steps)
        return len(space.pairs.by_name) * control.num_trainings * longest
    return len(space.all_pairs) * (distil if control.has_target else TEACHER_STEPS)


def _step_seconds(space: Space, task: Task, target: str) -> float:
    """Time an optimisation step of a target in its second epoch, at a learning rate that cannot diverge."""
    config = space.config(space.default_values(), space.all_pairs[0][0], target)
    short = config.replace(method="scratch", distill__epochs=2, distill__num_stages=1, distill__lr=1e-4)
    run = Distillation(short, task, None)
    run.run_epoch()
    started = perf_counter()
    run.run_epoch()
    return (perf_counter() - started) / batches_per_epoch(run.num_images, config.distill.batch_size)
