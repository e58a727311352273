"""The interface of controls: what a finalist must beat, run with the same images and code."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from tdmr_ray.data.task import Task
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TargetConfig, TrialConfig


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
        has_target: Whether a target is trained.
        num_trainings: Trainings of a target, one after the other.
    """

    Config: ClassVar[type[ControlConfig]]
    has_foundation: ClassVar[bool] = False
    has_target: ClassVar[bool] = True
    num_trainings: ClassVar[int] = 1

    def __init__(self, config: ControlConfig | None = None) -> None:
        self.config = config or self.Config()  # type: ignore[call-arg]  # every kind has a default

    @abstractmethod
    def configure(self, finalist: TrialConfig, task: Task, min_steps: int) -> TrialConfig:
        """Return the control's trial for a finalist.

        Args:
            finalist: The configuration that it is compared with.
            task: The finalist's images.
            min_steps: Optimisation steps that a control without foundation gets at least.
        """

    def check(self, facts: ControlFacts) -> list[str]:
        """Return the reasons why the control cannot run in a search."""
        return []

    def target_versions(self, target: TargetConfig) -> tuple[TargetConfig, ...]:
        """Return versions of a target whose weights the control needs besides the finalist's."""
        return ()


def epochs_for(steps: int, num_images: int, batch_size: int) -> int:
    """Return the least number of epochs with at least so many steps."""
    return -(-steps // batches_per_epoch(num_images, batch_size))
