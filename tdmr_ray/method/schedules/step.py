"""Stepwise temperature schedule."""

from typing import Literal

from tdmr_ray.method.moment import Moment
from tdmr_ray.method.schedules.schedule import RampConfig, Schedule


class StepSchedule(Schedule):
    """T = start + (end - start) * stage / (num_stages - 1): one temperature for each stage, with equal jumps.

    With a single stage the temperature stays at `start`.
    """

    class Config(RampConfig):
        """Hyperparameters of a stepwise schedule."""

        schedule: Literal["step"] = "step"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.start, self.end = config.start, config.end

    def forward(self, moment: Moment) -> float:
        """Return the temperature."""
        progress = moment.stage / max(1, moment.num_stages - 1)
        return self.start + (self.end - self.start) * progress
