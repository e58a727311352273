"""Optimisation steps of a trial, and trials of a given number of steps."""

from tdmr_ray.data.task import Task
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig


def num_steps(config: TrialConfig, task: Task) -> int:
    """Return the optimisation steps of a trial's target if val does not end it early; 0 if it takes none.

    Args:
        config: The trial.
        task: Its images, with or without those that have no labels.
    """
    return config.num_epochs * _steps_per_epoch(config, task) if config.trains_target else 0


def with_steps(config: TrialConfig, task: Task, steps: int) -> TrialConfig:
    """Return a trial with the least number of epochs that has at least so many steps; its number of stages stays.

    Each of the two trainings of self-training gets half of the steps, so that no method gets more than another. The
    steps are those of the whole schedule, whatever `distill.stop_at` leaves of it.

    Args:
        config: The trial; one whose target is not trained by gradients is returned unchanged.
        task: Its images.
        steps: Optimisation steps of the whole trial.
    """
    if not config.trains_target:
        return config
    epochs = -(-steps // (config.num_trainings * _steps_per_epoch(config, task)))
    epochs = max(epochs, config.distill.num_stages)
    return config.model_copy(update={"distill": config.distill.model_copy(update={"epochs": epochs})})


def _steps_per_epoch(config: TrialConfig, task: Task) -> int:
    images = task.num_labeled if config.method == "scratch" else len(task.train)
    return batches_per_epoch(images, config.distill.batch_size)
