"""The samplers of a search: a new one for every trial, so that a resumed search draws what it would have drawn.

A sampler's own random state is lost with the driver process. Here the random state follows from the seed of the
search, the pair and the number of the trial; everything learned from earlier trials is in the study.
"""

import warnings
from collections.abc import Callable

import numpy as np
import optuna
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial

from tdmr_ray.space import SamplerName


class SharedTPESampler(TPESampler):
    """TPE that is given the search space common to all trials of a study, since finding it visits every trial."""

    def __init__(self, seed: int, num_startup: int, shared: IntersectionSearchSpace) -> None:
        super().__init__(seed=seed, n_startup_trials=num_startup, constant_liar=True)
        self.shared = shared

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the common search space from a cache that outlives the sampler."""
        found = self.shared.calculate(study, use_cache=True)
        return {name: distribution for name, distribution in found.items() if not distribution.single()}


_BUILDERS: dict[SamplerName, Callable[[int, int, IntersectionSearchSpace], BaseSampler]] = {
    "tpe": SharedTPESampler,
    "gp": lambda seed, startup, _: GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False),
    "nsga2": lambda seed, startup, _: NSGAIISampler(seed=seed, population_size=startup),
    "random": lambda seed, startup, _: RandomSampler(seed=seed),
}


def build_sampler(
    name: SamplerName, *, seed: tuple[int, ...], num_trials: int, shared: IntersectionSearchSpace
) -> BaseSampler:
    """Build a sampler for one suggestion.

    Args:
        name: Name of the sampler in the space file.
        seed: Any whole numbers; equal ones draw equally from equal studies.
        num_trials: Planned size of the study. A quarter of it, but at least 4 trials, is drawn at random (for
            `nsga2`: is a generation).
        shared: Cached search space of the study, pruned trials included; the same object for all its samplers.
    """
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _BUILDERS[name](state, max(4, num_trials // 4), shared)
