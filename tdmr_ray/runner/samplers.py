"""The samplers of a search: fresh for every trial, so that a resumed search draws what it would have drawn.

A sampler's own random state would be lost with the driver. Ours follows from the search's seed, the pair and the
number of the trial; all that is learned from earlier trials is in the study.
"""

import warnings
from collections.abc import Callable

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from tdmr_ray.space import SamplerName

_BUILDERS: dict[SamplerName, Callable[[int, int], BaseSampler]] = {
    "tpe": lambda seed, startup: TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True),
    "gp": lambda seed, startup: GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False),
    "nsga2": lambda seed, startup: NSGAIISampler(seed=seed, population_size=startup),
    "random": lambda seed, startup: RandomSampler(seed=seed),
}


def build_sampler(name: SamplerName, *, seed: tuple[int, ...], num_trials: int) -> BaseSampler:
    """A sampler for one suggestion.

    Args:
        name: Which.
        seed: Any whole numbers; equal ones draw equally from equal studies.
        num_trials: Of the study, in the end: a quarter of them, but at least 4, are drawn at random (for `nsga2`: are
            a generation).
    """
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return _BUILDERS[name](state, max(4, num_trials // 4))
