"""The interface of temperature schedules."""

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.method.component import ComponentConfig, ParameterGroup
from tdmr_ray.method.moment import Moment


class ScheduleConfig(ComponentConfig):
    """Hyperparameters of a temperature schedule."""

    schedule: str
    start: float = Field(default=3.0, gt=0)
    """Temperature at the first step."""


class RampConfig(ScheduleConfig):
    """Hyperparameters of a schedule that moves from one temperature to another."""

    end: float = Field(default=1.0, gt=0)
    """Temperature at the end; the last step is one step short of it."""


class Schedule(nn.Module, ABC):
    """A temperature that depends on the progress of the distillation.

    Attributes:
        Config: Class of its hyperparameters.
    """

    Config: ClassVar[type[ScheduleConfig]]

    def __init__(self, config: ScheduleConfig) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, moment: Moment) -> float | Tensor:
        """Return the temperature, above 0: a number, or a scalar tensor if it is learned."""

    def planned(self, moment: Moment) -> float:
        """Return the temperature for a plot; an expectation if it is learned."""
        temperature = self.forward(moment)
        return float(temperature.detach() if isinstance(temperature, Tensor) else temperature)

    def parameter_groups(self, lr: float) -> list[ParameterGroup]:
        """Return the trained parameters; decay would pull a learned temperature to the middle of its range."""
        parameters = list(self.parameters())
        return [ParameterGroup(parameters, lr, weight_decay=0.0)] if parameters else []
