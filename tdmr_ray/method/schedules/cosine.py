"""Cosine temperature schedule."""

import math
from typing import Literal

from tdmr_ray.method.moment import Moment
from tdmr_ray.method.schedules.schedule import RampConfig, Schedule


class CosineSchedule(Schedule):
    """T = end + (start - end) * (1 + cos(pi * progress)) / 2."""

    class Config(RampConfig):
        """Hyperparameters of a cosine schedule."""

        schedule: Literal["cosine"] = "cosine"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.start, self.end = config.start, config.end

    def forward(self, moment: Moment) -> float:
        """Return the temperature."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * moment.progress)) / 2
