"""Exponential temperature schedule."""

from typing import Literal

from tdmr_ray.method.moment import Moment
from tdmr_ray.method.schedules.schedule import RampConfig, Schedule


class ExponentialSchedule(Schedule):
    """T = start * (end / start) ** progress."""

    class Config(RampConfig):
        """Hyperparameters of an exponential schedule."""

        schedule: Literal["exponential"] = "exponential"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.start, self.end = config.start, config.end

    def forward(self, moment: Moment) -> float:
        """Return the temperature."""
        return float(self.start * (self.end / self.start) ** moment.progress)
