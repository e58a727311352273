"""Constant temperature."""

from typing import Literal

from tdmr_ray.method.moment import Moment
from tdmr_ray.method.schedules.schedule import Schedule, ScheduleConfig


class ConstantSchedule(Schedule):
    """T = start throughout."""

    class Config(ScheduleConfig):
        """Hyperparameters of a constant schedule."""

        schedule: Literal["constant"] = "constant"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.start = config.start

    def forward(self, moment: Moment) -> float:
        """Return the temperature."""
        return self.start
