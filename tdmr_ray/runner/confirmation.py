"""Trials of the confirmation: each finalist and its controls with every seed."""

from tdmr_ray.data.task import Task
from tdmr_ray.records import TrialRecord
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.space import Space
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import build_control
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec


def confirmation_specs(space: Space, finalists: list[TrialRecord], tasks: TaskCache) -> list[TrialSpec]:
    """Build a spec for each finalist and each control with every seed, the longest first.

    Controls that several pairs share appear once. A control may use other images than its finalist, and then has
    another task.
    """
    specs: dict[str, TrialSpec] = {}
    for seed in space.confirm.seeds:
        for record in finalists:
            config = TrialConfig.model_validate(record.config).model_copy(update={"seed": seed})
            task = tasks.get(config.data)
            made = [build_spec(config, phase="confirm", values=record.values)]
            for settings in space.confirm.controls:
                control = build_control(settings).configure(config, task, space.confirm.steps)
                made.append(build_spec(control, phase="confirm", role=settings.kind))
            for spec in made:
                specs.setdefault(spec.id, spec)
    return sorted(specs.values(), key=lambda spec: -num_steps(spec.config, tasks.get(spec.config.data)))


def num_steps(config: TrialConfig, task: Task) -> int:
    """Return the optimisation steps of a trial's target; a few for a linear probe, which has none."""
    images = task.num_labeled if config.method == "scratch" else len(task.train)
    return config.num_epochs * batches_per_epoch(images, config.distill.batch_size)
