"""A warm Tune actor that runs one trial after another; data and foundations stay in its memory."""

from dataclasses import replace
from functools import partial
from typing import Any

import ray
from ray import tune

from tdmr_ray.runner.messages import Assignment, assignment_in
from tdmr_ray.runner.process_loss import ActorRetired
from tdmr_ray.runner.trial import Trial
from tdmr_ray.runner.worker_context import WorkerContext, open_context

MAX_TRIALS_PER_ACTOR = 100
"""Reused actors are known to leak GPU memory; after so many trials a fresh one takes over."""


class TrialActor(tune.Trainable):
    """Runs one trial after another, an epoch a step; its configuration is an `Assignment`."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start in a fresh process; called by Tune."""
        self.num_trials = 0
        self.machine = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
        self.context = _open_context(assignment_in(config))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial; called by Tune.

        Raises:
            ActorRetired: If the actor has run enough trials. Tune's own way, to return False, would lose the trial.
        """
        self.num_trials += 1
        if self.num_trials > MAX_TRIALS_PER_ACTOR:
            raise ActorRetired(f"{MAX_TRIALS_PER_ACTOR} trials are enough for one process")
        self.trial = Trial(assignment_in(new_config), self.context)
        return True

    def step(self) -> dict[str, Any]:
        """Run an epoch; called by Tune."""
        return replace(self.trial.step(), machine=self.machine).as_result()

    def cleanup(self) -> None:
        """Release the trial; called by Tune when the process ends."""
        self.trial.release()


def _open_context(assignment: Assignment) -> WorkerContext:
    """Open the context; only an actor that makes teachers with several workers imports Ray Train."""
    context = open_context(assignment.settings)
    if assignment.settings.reprogram_workers > 1:
        from tdmr_ray.runner.distributed import make_teacher_with_workers

        context.provider.make = partial(make_teacher_with_workers, assignment, context)
    return context
