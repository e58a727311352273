"""What is searched: ranges and choices, with the conditions that hold between them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pydantic import Field

from tdmr_ray.space.sections import Section

Value = str | int | float | bool


class Suggester(Protocol):
    """The part of `optuna.Trial` that a space needs."""

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number."""


class Parameter(Section):
    """One searched dimension: a range (`low`, `high`, `step` or `log`) or a list of `choices`."""

    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    log: bool = False
    choices: tuple[Value, ...] | None = None
    when: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    """Other parameters and the values with which this one is searched."""

    @property
    def is_int(self) -> bool:
        """Whether the range holds whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def grid(self) -> tuple[Value, ...] | None:
        """All values, or None for a continuous range."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None and self.high is not None, "checked when the file was read"
        if not self.is_int and self.step is None:
            return None
        step = self.step or 1
        count = int((self.high - self.low) / step + 1e-9) + 1
        return tuple(self.low + index * step for index in range(count))

    def contains(self, value: Value) -> bool:
        """Whether a value is legal."""
        if self.choices is not None:
            return any(_same(value, choice) for choice in self.choices)
        if isinstance(value, str | bool) or self.low is None or self.high is None:
            return False
        if self.grid is not None:
            return any(abs(float(option) - value) < 1e-9 * max(1.0, abs(value)) for option in self.grid)
        return bool(self.low <= value <= self.high)

    def nearest(self, value: Value) -> Value:
        """The legal value nearest to another; the first choice where there is no order."""
        if self.choices is not None:
            return next((choice for choice in self.choices if _same(value, choice)), self.choices[0])
        assert self.low is not None and self.high is not None, "checked when the file was read"
        number = value if isinstance(value, int | float) else self.low
        inside = min(max(number, self.low), self.high)
        grid = self.grid
        return inside if grid is None else min(grid, key=lambda option: abs(float(option) - float(inside)))

    def draw(self, trial: Suggester, name: str) -> Value:
        """What a sampler suggests for the parameter, which is called `name`."""
        if self.choices is not None:
            value: Value = trial.suggest_categorical(name, self.choices)
            return value
        assert self.low is not None and self.high is not None, "checked when the file was read"
        if self.is_int:
            low, high = int(self.low), int(self.high)
            return trial.suggest_int(name, low, high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


def ordered_by_condition(search: Mapping[str, Parameter]) -> list[str]:
    """Names in the order of the file, but none before those in its `when`.

    Raises:
        ValueError: If conditions form a circle.
    """
    ordered: list[str] = []
    waiting = list(search)
    while waiting:
        ready = [name for name in waiting if all(o in ordered or o not in search for o in search[name].when)]
        if not ready:
            raise ValueError(f"conditions must not form a circle, but these do: {_listed(waiting)}")
        ordered += ready
        waiting = [name for name in waiting if name not in ready]
    return ordered


def _same(value: Value, choice: Value) -> bool:
    """Equal, and not merely as `True` and 1 are."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
