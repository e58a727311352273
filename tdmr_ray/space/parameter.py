"""Searched parameters: a range of numbers or a list of choices, each perhaps under a condition."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Protocol, Self

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from tdmr_ray.space.sections import Section
from tdmr_ray.training.parameters import all_parameters

Value = str | int | float | bool

When = Annotated[dict[str, tuple[Value, ...]], Field(default_factory=dict)]
"""Other parameters, each with the values under which this one is searched."""

RANGE_KEYS = ("low", "high", "step", "log")
TOLERANCE = 1e-9
"""Relative rounding error within which a number lies on a grid."""


def parse_number(value: Any) -> int | float:
    """Return a finite number as it is, and a text such as '1e-3' (which YAML takes for a text) as a number.

    Raises:
        ValueError: If it is neither.
    """
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


Number = Annotated[int | float, BeforeValidator(parse_number)]


class Suggester(Protocol):
    """The part of `optuna.Trial` that a space needs."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        """Suggest one of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Suggest an integer."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Suggest a real number."""


class Range(Section):
    """Numbers from `low` to `high`, both included; integers if `low`, `high` and `step` are integers.

    With `step` the values are low, low + step, ..., up to `high`; with `log` they are drawn on a logarithmic scale.
    """

    low: Number
    """Smallest value."""
    high: Number
    """Largest value."""
    step: Number | None = None
    """Distance of values; None is 1 for integers and none for real numbers."""
    log: bool = False
    """Whether values are drawn on a logarithmic scale."""
    when: When
    """Other parameters, each with the values under which this one is searched."""

    @model_validator(mode="before")
    @classmethod
    def _has_both_ends(cls, tree: Any) -> Any:
        if isinstance(tree, dict) and tree.keys() <= cls.model_fields.keys():
            low, high = tree.get("low"), tree.get("high")
            if low is None or high is None:
                raise ValueError(f"needs low and high, or choices, got ({low=}, {high=})")
        return tree

    @model_validator(mode="after")
    def _is_legal(self) -> Self:
        low, high, step, log = self.low, self.high, self.step, self.log
        problems = []
        if low > high:
            problems.append(f"low <= high must hold, got ({low=}, {high=})")
        if step is not None and (step <= 0 or log):
            problems.append(f"step must be positive and without log, got ({step=}, {log=})")
        if log and low <= 0:
            problems.append(f"log needs low > 0, got ({low=})")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def is_int(self) -> bool:
        """Whether all values are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int) and not isinstance(self.step, float)

    @property
    def grid(self) -> tuple[Value, ...] | None:
        """All values, or None for a continuous range."""
        if self.step is None and not self.is_int:
            return None
        step = self.step or 1
        count = int((self.high - self.low) / step + TOLERANCE) + 1
        return tuple(self.low + index * step for index in range(count))

    @property
    def ends(self) -> tuple[Value, ...]:
        """The smallest and the largest value."""
        grid = self.grid
        return (self.low, self.high) if grid is None else (grid[0], grid[-1])

    @property
    def distribution(self) -> IntDistribution | FloatDistribution:
        """The same range for Optuna."""
        low, high = self.ends
        if self.is_int:
            return IntDistribution(int(low), int(high), self.log, int(self.step or 1))
        return FloatDistribution(float(low), float(high), self.log, self.step)

    def contains(self, value: Value) -> bool:
        """Whether the range holds a value, up to rounding errors."""
        if isinstance(value, str | bool):
            return False
        grid = self.grid
        if grid is None:
            return self.low <= value <= self.high
        return any(abs(float(option) - value) < TOLERANCE * max(1.0, abs(value)) for option in grid)

    def nearest(self, value: Value) -> Value:
        """The value in the range nearest to another one; `low` if that is not a number."""
        number = value if isinstance(value, int | float) else self.low
        inside = min(max(number, self.low), self.high)
        grid = self.grid
        return inside if grid is None else min(grid, key=lambda option: abs(float(option) - float(inside)))

    def draw(self, trial: Suggester, name: str) -> Value:
        """Draw a value of the parameter called `name` from a trial's sampler."""
        found = self.distribution
        if isinstance(found, IntDistribution):
            return trial.suggest_int(name, found.low, found.high, step=found.step, log=found.log)
        return trial.suggest_float(name, found.low, found.high, step=found.step, log=found.log)


class Choices(Section):
    """A list of values without order."""

    choices: tuple[Value, ...]
    """Legal values."""
    when: When
    """Other parameters, each with the values under which this one is searched."""

    @model_validator(mode="before")
    @classmethod
    def _is_no_range(cls, tree: Any) -> Any:
        if isinstance(tree, dict) and (found := [key for key in RANGE_KEYS if key in tree]):
            raise ValueError(f"choices and a range exclude each other, got choices and {', '.join(found)}; keep one")
        return tree

    @field_validator("choices")
    @classmethod
    def _are_legal(cls, choices: tuple[Value, ...]) -> tuple[Value, ...]:
        if not choices:
            raise ValueError("must not be empty")
        if len(set(choices)) < len(choices):
            raise ValueError("must all differ")
        return choices

    @property
    def grid(self) -> tuple[Value, ...]:
        """All choices."""
        return self.choices

    @property
    def ends(self) -> tuple[Value, ...]:
        """All choices, since they have no order."""
        return self.choices

    @property
    def distribution(self) -> CategoricalDistribution:
        """The same choices for Optuna."""
        return CategoricalDistribution(self.choices)

    def contains(self, value: Value) -> bool:
        """Whether a value is one of the choices; 1 and true are the same choice, as they are in Optuna."""
        try:
            self.distribution.to_internal_repr(value)
        except ValueError:
            return False
        return True

    def nearest(self, value: Value) -> Value:
        """The choice that equals a value, or else the first one."""
        if not self.contains(value):
            return self.choices[0]
        return self.choices[int(self.distribution.to_internal_repr(value))]

    def draw(self, trial: Suggester, name: str) -> Value:
        """Draw a choice for the parameter called `name` from a trial's sampler."""
        value: Value = trial.suggest_categorical(name, self.choices)
        return value


def _kind_of(tree: Any) -> str:
    """Return the tag of an entry under `search`: `choices` or `range`."""
    return "choices" if isinstance(tree, Choices) or (isinstance(tree, dict) and "choices" in tree) else "range"


Parameter = Annotated[Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")], Discriminator(_kind_of)]
"""An entry under `search`: `Choices` if it has the key `choices`, else `Range`."""


def parameter_type(tree: Mapping[str, Any]) -> type[Range] | type[Choices]:
    """The type that an entry under `search` is validated with."""
    return Choices if _kind_of(tree) == "choices" else Range


def ordered_by_condition(search: Mapping[str, Range | Choices]) -> list[str]:
    """Sort names so that none comes before those it depends on; the order of the file otherwise.

    A parameter depends on those in its `when`, and on the one that chooses the kind of its component.

    Raises:
        ValueError: If the conditions form a circle.
    """
    needs = {name: {*parameter.when, all_parameters()[name].selector} for name, parameter in search.items()}
    ordered: list[str] = []
    waiting = list(search)
    while waiting:
        ready = [name for name in waiting if all(other in ordered or other not in search for other in needs[name])]
        if not ready:
            raise ValueError(f"conditions must not form a circle, but these do: {_listed(waiting)}")
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
