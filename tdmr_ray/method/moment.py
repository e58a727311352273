"""A point in time of a distillation, on which temperatures and losses may depend."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """A point of the whole distillation.

    Attributes:
        progress: Share of the steps that are done: 0 at the first step, one step short of 1 at the last.
        stage: 0 .. num_stages - 1.
        num_stages: >= 1.

    Raises:
        ValueError: If the progress is out of range.
    """

    progress: float
    stage: int = 0
    num_stages: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.progress <= 1:
            raise ValueError(f"0 <= progress <= 1 must hold, but got {self.progress}")


END = Moment(progress=1.0)
"""The end of a distillation in one stage."""
