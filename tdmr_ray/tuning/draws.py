"""Random configurations of a space, for those who want to know what it holds."""

import optuna

from tdmr_ray.space import Space
from tdmr_ray.training.config import TrialConfig


def draw_configs(space: Space, count: int) -> list[TrialConfig]:
    """Draw configurations uniformly, one pair after the other; the same ones for the same space."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=space.seed))
    pairs = space.all_pairs
    return [space.suggest(study.ask(), *pairs[number % len(pairs)]) for number in range(count)]
