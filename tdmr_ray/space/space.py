"""A whole space file, and from there one trial's configuration at a time."""

import itertools
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tdmr_ray.data.config import DataConfig
from tdmr_ray.space.parameter import Parameter, Suggester, Value, ordered_by_condition
from tdmr_ray.space.sections import (
    AllocationName,
    Budget,
    Confirm,
    Objective,
    Pairs,
    Resources,
    SamplerName,
    Section,
    one_or_more,
)
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.parameters import ParameterInfo, all_parameters
from tdmr_ray.training.sections import TargetConfig

INPUT_PX, WEIGHTS = "target.input_px", "target.weights"


class Space(Section):
    """A whole space file; build it with `read_space`, which checks it."""

    name: str
    """Name of the search, in output directories and reports."""
    data: DataConfig
    pairs: Pairs
    objective: Objective = Objective()
    budget: Budget = Budget()
    confirm: Confirm = Confirm()
    resources: Resources = Resources()
    sampler: SamplerName = "tpe"
    """Optuna sampler that draws configurations."""
    seed: int = Field(default=0, ge=0)
    """Seed of samplers and trials."""
    tracking: Annotated[tuple[str, ...], BeforeValidator(one_or_more)] = ()
    """Listeners that log the search elsewhere: `mlflow`, `wandb`, or those of plug-ins."""
    search: dict[str, Parameter] = Field(default_factory=dict)
    """Searched parameters by dotted name."""
    fixed: dict[str, Any] = Field(default_factory=dict)
    """Pinned parameters by dotted name, with their values."""

    @property
    def all_pairs(self) -> tuple[tuple[str, str], ...]:
        """(foundation, target), foundations outermost."""
        return tuple(itertools.product(self.pairs.by_label, self.pairs.by_name))

    def target_versions(self, name: str) -> tuple[TargetConfig, ...]:
        """A target with every size of image and all weights to start from that the search may give it."""
        part = self.pairs.by_name[name]
        sizes = self.possible_values(INPUT_PX) if INPUT_PX in (*self.search, *self.fixed) else (part.input_px,)
        weights = self.possible_values(WEIGHTS) if WEIGHTS in (*self.search, *self.fixed) else (part.weights,)
        pairs = itertools.product(sizes, weights)
        return tuple(part.model_copy(update={"input_px": size, "weights": start}) for size, start in pairs)

    @property
    def all_target_versions(self) -> tuple[TargetConfig, ...]:
        """The versions of all targets, one target after the other."""
        return tuple(part for name in self.pairs.by_name for part in self.target_versions(name))

    def possible_values(self, name: str) -> tuple[Any, ...]:
        """All values that a parameter can take, or the ends of its range."""
        parameter = self.search.get(name)
        if parameter is None:
            return (self.fixed.get(name, all_parameters()[name].default),)
        return parameter.grid or parameter.ends

    @property
    def allocation(self) -> AllocationName:
        """Allocation of trials to pairs: as configured, or else the better one in `benchmarks/samplers.py`.

        `adaptive` finds the better best; `equal` makes each pair better, which counts when costs are minimised too.
        """
        return self.budget.allocation or ("equal" if self.objective.minimize else "adaptive")

    def suggest(self, trial: Suggester, foundation: str, target: str) -> TrialConfig:
        """Draw a configuration for a pair."""
        drawn: dict[str, Value] = {}
        for name in ordered_by_condition(self.search):
            if self._is_searched(name, drawn):
                drawn[name] = self.search[name].draw(trial, name)
        return self.config(drawn, foundation, target)

    def config(self, values: Mapping[str, Value], foundation: str, target: str) -> TrialConfig:
        """The configuration of a pair with these values of the searched parameters."""
        base = {
            **{f"data.{name}": value for name, value in self.data.model_dump().items()},
            **{f"foundation.{name}": value for name, value in self.pairs.by_label[foundation].model_dump().items()},
            **{f"target.{name}": value for name, value in self.pairs.by_name[target].model_dump().items()},
            "distill.epochs": self.budget.epochs,
            "objective": self.objective.name,
            "seed": self.seed,
        }
        chosen = {**self.fixed, **values}
        owned = {name: value for name, value in chosen.items() if self._is_owned(name, chosen)}
        return TrialConfig().with_values({**base, **owned})

    def default_values(self, target: str = "") -> dict[str, Value]:
        """The searched parameters at `TrialConfig`'s defaults, or as near to them as the space allows.

        Args:
            target: Name of the target, whose initial weights decide some defaults; empty for the first one.
        """
        own = self.pairs.by_name[target or self.all_pairs[0][1]]
        return self.values_near(TrialConfig().with_values({WEIGHTS: self.fixed.get(WEIGHTS, own.weights)}))

    def values_near(self, config: TrialConfig) -> dict[str, Value]:
        """The searched parameters as in another configuration, or as near to it as the space allows."""
        wanted = config.flat()
        values: dict[str, Value] = {}
        for name in ordered_by_condition(self.search):
            if self._is_searched(name, values):
                values[name] = self.search[name].nearest(self._wanted(name, wanted, values))
        return values

    def _wanted(self, name: str, wanted: Mapping[str, Any], values: Mapping[str, Value]) -> Any:
        """Return the value that another configuration suggests; a default of another kind suggests nothing."""
        info, default = all_parameters()[name], self._default(name, values)
        if name not in wanted or (info.selector and wanted[name] == info.by_kind[wanted[info.selector]]):
            return default
        return wanted[name]

    def values_of(self, config: TrialConfig) -> dict[str, Value] | None:
        """The values of the searched parameters that give just this configuration; None if it is outside."""
        flat = config.flat()
        values: dict[str, Value] = {}
        for name in ordered_by_condition(self.search):
            if self._is_searched(name, values):
                if name not in flat or not self.search[name].contains(flat[name]):
                    return None
                values[name] = self.search[name].nearest(flat[name])
        pair = (config.foundation.label, config.target.name)
        return values if pair in self.all_pairs and self.config(values, *pair) == config else None

    def num_configurations(self) -> int:
        """Different combinations of the discrete parameters, with conditions; continuous ones count once."""
        return self._count(lambda name: True)

    def continuous(self) -> tuple[str, ...]:
        """Parameters without a grid."""
        return tuple(name for name, parameter in self.search.items() if parameter.grid is None)

    def num_teachers(self) -> int | None:
        """Different teachers that the space can need, over all foundations; None if they are a continuum."""
        if any(_shapes_teacher(name) for name in self.continuous()):
            return None
        return len(self.pairs.foundations) * self._count(_shapes_teacher)

    def _count(self, counts: Callable[[str], bool]) -> int:
        """Distinct combinations of the counted parameters, by walking the conditions."""
        names = [name for name in ordered_by_condition(self.search) if counts(name) or self._steers(name, counts)]
        combinations: list[dict[str, Value]] = [{}]
        for name in names:
            grid = self.search[name].grid or ("any",)
            combinations = [
                {**drawn, name: value} if self._is_searched(name, drawn) else drawn
                for drawn in combinations
                for value in (grid if self._is_searched(name, drawn) else grid[:1])
            ]
        kept = {tuple((name, value) for name, value in drawn.items() if counts(name)) for drawn in combinations}
        return len(kept)

    def _steers(self, name: str, counts: Callable[[str], bool]) -> bool:
        """Whether a counted parameter depends on this one, directly or through others."""
        return any(
            (name in parameter.when or name == all_parameters()[other].selector)
            and (counts(other) or self._steers(other, counts))
            for other, parameter in self.search.items()
        )

    def _is_searched(self, name: str, drawn: Mapping[str, Value]) -> bool:
        """Whether a parameter is searched: its component's kind owns it, and its conditions hold."""
        return self._is_owned(name, drawn) and all(
            self._value(other, drawn) in allowed for other, allowed in self.search[name].when.items()
        )

    def _is_owned(self, name: str, drawn: Mapping[str, Value]) -> bool:
        """Whether the kind that is drawn or pinned for a component owns one of its parameters."""
        info = all_parameters()[name]
        return not info.selector or info.is_owned(self._kind(info, drawn))

    def _kind(self, info: ParameterInfo, drawn: Mapping[str, Value]) -> Any:
        """Return the kind of a parameter's component: drawn, pinned, or the default."""
        default = all_parameters()[info.selector].default
        return drawn.get(info.selector, self.fixed.get(info.selector, default))

    def _value(self, name: str, drawn: Mapping[str, Value]) -> Any:
        """Return the value that a parameter has; None if it is searched but not drawn."""
        if name in self.search:
            return drawn.get(name)
        return self.fixed.get(name, self._default(name, drawn))

    def _default(self, name: str, drawn: Mapping[str, Value]) -> Any:
        info = all_parameters()[name]
        return info.by_kind.get(self._kind(info, drawn), info.default) if info.selector else info.default


def _shapes_teacher(name: str) -> bool:
    """Whether a teacher depends on a parameter."""
    return name.partition(".")[0] in TrialConfig.teacher_sections()
