"""The phase of a search that runs now, and its early-stopping rule."""

from tdmr_ray.records import Phase
from tdmr_ray.tuning.pruning import Pruner


class CurrentPhase:
    """The early-stopping rule of a run that goes through several phases; a phase without one lets every trial end.

    Attributes:
        name: The phase.
        pruner: Its rule; None for a phase without one.
    """

    def __init__(self) -> None:
        self.name: Phase = "search"
        self.pruner: Pruner | None = None

    def begin(self, name: Phase, pruner: Pruner | None = None) -> None:
        """Start a phase."""
        self.name, self.pruner = name, pruner

    @property
    def epochs(self) -> tuple[int, ...]:
        """See `Pruner`."""
        return self.pruner.epochs if self.pruner else ()

    def should_continue(self, group: str, trial_id: str, epoch: int, score: float) -> bool:
        """See `Pruner`."""
        return self.pruner is None or self.pruner.should_continue(group, trial_id, epoch, score)
