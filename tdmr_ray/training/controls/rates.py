"""Variants of a rival's trial for the choice of its learning rate."""

from tdmr_ray.training.config import TrialConfig

WIDEST = 4.0
"""Largest factor on a default learning rate; the smallest is its inverse."""


def with_rates(config: TrialConfig, count: int) -> list[TrialConfig]:
    """Return variants of a trial whose `distill.lr` lies on a logarithmic grid around its own.

    The trial itself comes first, then the factors nearest to 1, the smaller of two equally near first, so that any
    number of the first variants is a sensible choice. Four variants have the factors 1, 1/2, 2 and 1/4.

    Args:
        config: The trial of a control that trains.
        count: Number of variants, at least 1.
    """
    per_side = max(1, count // 2)
    factors = [WIDEST ** (sign * place / per_side) for place in range(1, per_side + 1) for sign in (-1, 1)]
    lr = config.distill.lr
    variants = [lr, *(lr * factor for factor in factors)][: max(1, count)]
    return [config.model_copy(update={"distill": config.distill.model_copy(update={"lr": each})}) for each in variants]
