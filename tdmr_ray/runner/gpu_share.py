"""The number of trials that share a GPU, from the memory of one; needs torch only, not Ray."""

from tdmr_ray.training.config import TrialConfig

SPARE = 1.2
"""Safety factor on the measured memory: later batches and other configurations may take more."""
MAX_SHARED = 8
"""Upper limit: more trials wait for one another's kernels."""


def gpu_share(taken: int, total: int) -> float:
    """Return 1 / k, where k trials of `taken` bytes fit into `total` bytes; 1 if only one fits."""
    fit = int(total / (SPARE * taken))
    return 1 / min(max(1, fit), MAX_SHARED)


def shortened(config: TrialConfig) -> TrialConfig:
    """Return a trial of one epoch with batches of full size."""
    return config.replace(reprogram__epochs=1, outputs__num_views=1, distill__epochs=1, distill__num_stages=1)
