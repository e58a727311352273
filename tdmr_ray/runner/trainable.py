"""A warm Tune actor that runs one trial after another; data and foundations stay in its memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune

from tdmr_ray.runner.events import ActorRetired
from tdmr_ray.runner.trial import Shop, Trial
from tdmr_ray.training.config import TrialConfig

MAX_TRIALS_PER_ACTOR = 100
"""Reused actors are known to leak GPU memory; after so many trials a fresh one takes over."""


class TrialActor(tune.Trainable):
    """One trial after another, an epoch a step; its configuration is the spec of a `Trial`."""

    def setup(self, config: dict[str, Any]) -> None:
        """Called by Tune in a fresh process."""
        self.num_trials = 0
        self.machine = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
        self.shop = Shop(config, _elsewhere(config))
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called by Tune before each further trial.

        Raises:
            ActorRetired: If it is one too many. To return False, which is Tune's word for it, would lose the trial.
        """
        self.num_trials += 1
        if self.num_trials > MAX_TRIALS_PER_ACTOR:
            raise ActorRetired(f"{MAX_TRIALS_PER_ACTOR} trials are enough for one process")
        self.trial = Trial(new_config, self.shop)
        return True

    def step(self) -> dict[str, Any]:
        """An epoch."""
        return {**self.trial.step(), "machine": self.machine}

    def cleanup(self) -> None:
        """Called by Tune when the process ends."""
        self.trial.leave()


def _elsewhere(spec: dict[str, Any]) -> Callable[[TrialConfig, str], Path] | None:
    """How several workers make teachers; None if this process does it, which then need not import Ray Train."""
    if spec["reprogram_workers"] == 1:
        return None
    from tdmr_ray.runner.distributed import teacher_of_several

    return partial(teacher_of_several, spec)
