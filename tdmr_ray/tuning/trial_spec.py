"""A spec is one trial to be run; a source says which comes next."""

from dataclasses import dataclass, field
from typing import Protocol

from tdmr_ray.records import TDMR, Pair, Phase, TrialRecord
from tdmr_ray.space import Value
from tdmr_ray.training.config import TrialConfig


@dataclass(frozen=True)
class TrialSpec:
    """One trial to be run.

    Attributes:
        id: Phase and hash of the configuration.
        phase: `confirm` reads test at the end and keeps the weights.
        role: `tdmr` or a control.
        pair: Whose it is.
        config: What is done.
        values: The searched parameters, as Optuna drew them.
        artifact: Key of its teacher; '' if none takes part, or as long as nobody asked for it.
        only_teacher: Whether all that is to be done is to make its teacher; it has no record.
    """

    id: str
    phase: Phase
    role: str
    pair: Pair
    config: TrialConfig
    values: dict[str, Value] = field(default_factory=dict)
    artifact: str = ""
    only_teacher: bool = False


def build_spec(
    config: TrialConfig, *, phase: Phase, role: str = TDMR, values: dict[str, Value] | None = None
) -> TrialSpec:
    """A spec whose id follows from phase and configuration."""
    pair = Pair(foundation=config.foundation.label, target=config.target.name)
    return TrialSpec(f"{phase}-{config.key()}", phase, role, pair, config, values or {})


class Source(Protocol):
    """Where specs come from and results go to."""

    @property
    def exhausted(self) -> bool:
        """Whether there will be no more specs."""

    @property
    def num_left(self) -> int:
        """How many specs are still to be handed out."""

    def next_spec(self) -> TrialSpec | None:
        """The next spec, or None if there is none for now."""

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """How a spec ended."""


class Queue:
    """A fixed list of specs, in order."""

    def __init__(self, specs: list[TrialSpec]) -> None:
        self._specs = list(reversed(specs))

    @property
    def exhausted(self) -> bool:
        """Whether all were handed out."""
        return not self._specs

    @property
    def num_left(self) -> int:
        """How many were not handed out yet."""
        return len(self._specs)

    def next_spec(self) -> TrialSpec | None:
        """The next one."""
        return self._specs.pop() if self._specs else None

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Nothing depends on it."""
