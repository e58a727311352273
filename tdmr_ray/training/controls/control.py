"""The interface of controls: what a finalist must beat, run with the same images and code."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls.rates import with_rates
from tdmr_ray.training.sections import TargetConfig


@dataclass(frozen=True)
class ControlFacts:
    """Properties of a search that decide whether a control can run.

    Attributes:
        unlabeled: Whether images without labels take part.
        targets: The targets; `has_pretrained` holds the names for which timm has weights.
    """

    unlabeled: bool
    targets: tuple[TargetConfig, ...]
    has_pretrained: frozenset[str] = frozenset()


class ControlConfig(BaseModel):
    """Settings of a control."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str


class Control(ABC):
    """A rival of a finalist.

    Args:
        config: Its settings; None takes the defaults.

    Attributes:
        Config: Class of its settings.
        has_foundation: Whether a foundation takes part, so that it runs once for each pair.
        has_target: Whether a target takes part.
        ships: Whether it makes a small model, which can be recommended.
        trains: Whether it trains a target by gradients: it then has steps, and a learning rate to tune.
    """

    Config: ClassVar[type[ControlConfig]]
    has_foundation: ClassVar[bool] = False
    has_target: ClassVar[bool] = True
    ships: ClassVar[bool] = True
    trains: ClassVar[bool] = True

    def __init__(self, config: ControlConfig | None = None) -> None:
        self.config = config or self.Config()  # type: ignore[call-arg]  # every kind has a default

    @abstractmethod
    def configure(self, finalist: TrialConfig, task: Task, steps: int) -> TrialConfig:
        """Return the control's trial for a finalist, with the finalist's rule for ending early.

        Args:
            finalist: The configuration that it is compared with.
            task: The finalist's images.
            steps: Optimisation steps of the whole trial at most, up to a last epoch that exceeds them; the same for
                every control that trains.
        """

    def rates(self, config: TrialConfig, count: int) -> list[TrialConfig]:
        """Return variants of the control's trial with other learning rates, its own first; one if it has no rate.

        Args:
            config: The control's trial.
            count: Number of variants.
        """
        return with_rates(config, count) if self.trains else [config]

    def check(self, facts: ControlFacts) -> list[str]:
        """Return the reasons why the control cannot run in a search."""
        return []

    def target_versions(self, target: TargetConfig) -> tuple[TargetConfig, ...]:
        """Return versions of a target whose weights the control needs besides the finalist's."""
        return ()
