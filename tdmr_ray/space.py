"""Space files: YAML to a checked `Space`, and from there one trial's configuration at a time.

Keys inside a parameter are Optuna's own words; names are dotted paths of `TrialConfig`; `when` is the only logic.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from tdmr_ray.data.task import DataConfig
from tdmr_ray.training.config import FoundationConfig, TargetConfig, TrialConfig

PROGRAM_PARTS = ("prompt.", "mapping.", "reprogram.", "views.", "signals.", "precision")
"""Parameters that a teacher depends on; the others only steer its target."""

INPUT_PX, WEIGHTS = "target.input_px", "target.weights"

Value = str | int | float | bool
SamplerName = Literal["tpe", "gp", "nsga2", "random"]
AllocationName = Literal["equal", "adaptive"]


_UNITS_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse_duration(value: object) -> object:
    """'1h30m' to seconds; what is no text is left to pydantic.

    Raises:
        ValueError: If a text is no duration.
    """
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", value):
        raise ValueError("must be a duration such as '90s', '20m' or '1h30m'")
    return sum(float(number) * _UNITS_S[unit] for number, unit in re.findall(r"([\d.]+)([dhms])", value))


Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]


class Section(BaseModel):
    """A part of a space file; unknown keys are problems."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Pairs(Section):
    """Every foundation is tried with every target."""

    foundations: tuple[str | FoundationConfig, ...] = Field(min_length=1)
    """Names, or names with `weights` and `image_px`."""
    targets: tuple[str | TargetConfig, ...] = Field(min_length=1)
    """Names, or names with `weights` to start from and `input_px`."""

    @property
    def by_name(self) -> dict[str, TargetConfig]:
        """The targets by name, which is what tables call them."""
        parts = [TargetConfig(name=each) if isinstance(each, str) else each for each in self.targets]
        return {part.name: part for part in parts}

    @property
    def by_label(self) -> dict[str, FoundationConfig]:
        """The foundations by what tables call them."""
        parts = [FoundationConfig(name=each) if isinstance(each, str) else each for each in self.foundations]
        return {part.label: part for part in parts}


CostName = Literal["latency_ms", "params", "macs"]


class Limit(Section):
    """The most that a target may cost."""

    cost: CostName
    most: float


def parse_limit(value: object) -> object:
    """'params <= 2e6' to a `Limit`; what is no text is left to pydantic.

    Raises:
        ValueError: If a text is no limit.
    """
    if not isinstance(value, str):
        return value
    costs = get_args(CostName)
    found = re.fullmatch(rf"\s*({'|'.join(costs)})\s*<=\s*(\d[\d.e+]*)\s*", value)
    if found is None:
        raise ValueError(f"must be like 'params <= 2e6', with one of {', '.join(costs)}")
    return Limit(cost=cast("CostName", found[1]), most=float(found[2]))


def one_or_more(value: object) -> object:
    """A text alone is a list of one."""
    return (value,) if isinstance(value, str) else value


class Objective(Section):
    """What a better configuration has more of, and a better target less."""

    maximize: str = "val/top1"
    minimize: Annotated[tuple[CostName, ...], BeforeValidator(one_or_more)] = ()
    """Costs of the target beside. They do not differ within a pair, so each pair's study maximises alone; pairs are
    stopped early and shown by what no other beats in all."""
    constraints: tuple[Annotated[Limit, BeforeValidator(parse_limit)], ...] = ()
    """As 'latency_ms <= 5'; a target that breaks one is left out before anything is trained."""


class Budget(Section):
    """When the search ends: the first limit that is reached counts. Trials are shared by all pairs."""

    trials: PositiveInt = 24
    epochs: PositiveInt = 30
    time: Duration | None = None
    """Of search and confirmation, as '20m' or '1h30m'; kept in seconds."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """Of the search's trials."""
    usd: float | None = Field(default=None, gt=0)
    """Of the search's trials, by the prices in `prices.yaml`."""
    allocation: AllocationName | None = None
    """How pairs share the trials, see `runner.allocation`; None: `Space.allocation` decides."""


class Confirm(Section):
    """What happens to the best of each pair after the search."""

    top: int = Field(default=1, ge=0)
    """Finalists of each pair; 0 leaves the confirmation out."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    controls: tuple[str, ...] = ("scratch", "linear_probe", "plain_kd")
    control_steps: PositiveInt = 1500
    """Optimisation steps that `scratch` and `fine_tune` get at least, so that they converge."""


class Resources(Section):
    """What one trial takes."""

    cpu: PositiveInt = 1
    gpu: Annotated[float, Field(ge=0)] | Literal["auto"] = 0
    """Share of a GPU; `auto` packs as many trials on one as its memory holds, after a short measurement."""
    workers: PositiveInt = 1
    """Processes that run one trial together, by Ray Train; 1 keeps the trial in a warm actor, which starts at once."""
    min_workers: PositiveInt | None = None
    """With fewer machines than `workers` need, so many will do; None insists on all."""
    reprogram_workers: PositiveInt = 1
    """Processes that make a teacher together, by Ray Train, where a trial has one worker."""
    concurrent: PositiveInt | None = None
    """Trials at the same time; None is as many as fit."""
    trial_timeout: Duration = 3600.0
    """A trial that takes longer for one epoch (the first makes its teacher) hangs: it is ended and recorded."""

    @property
    def trial_cpu(self) -> int:
        """Cores of all workers of a trial."""
        return self.cpu * self.workers

    @property
    def trial_gpu(self) -> float:
        """GPUs of all workers of a trial."""
        return self.gpu_share * self.workers

    @property
    def kept_free(self) -> int:
        """Workers that must fit beside the trials, so that those that make a teacher never wait for ever."""
        return self.reprogram_workers if self.workers == 1 and self.reprogram_workers > 1 else 0

    @property
    def gpu_share(self) -> float:
        """Of one trial; 0 as long as `auto` is not decided."""
        return 0.0 if self.gpu == "auto" else self.gpu


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


class Space(Section):
    """A whole space file; build it with `read_space`, which checks it."""

    name: str
    data: DataConfig
    pairs: Pairs
    objective: Objective = Objective()
    budget: Budget = Budget()
    confirm: Confirm = Confirm()
    resources: Resources = Resources()
    sampler: SamplerName = "tpe"
    """Which of Optuna's samplers draws configurations."""
    seed: int = Field(default=0, ge=0)
    search: dict[str, Parameter] = Field(default_factory=dict)
    fixed: dict[str, Any] = Field(default_factory=dict)

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

    def possible_values(self, name: str) -> tuple[Any, ...]:
        """All values that a parameter can take, or the ends of its range."""
        parameter = self.search.get(name)
        if parameter is None:
            return (self.fixed.get(name, TrialConfig().flat()[name]),)
        return parameter.grid or (parameter.low, parameter.high)

    @property
    def allocation(self) -> AllocationName:
        """How pairs share the trials: what was asked for, or else what `benchmarks/samplers.py` says.

        `adaptive` finds the better best; `equal` makes each pair better, which counts when costs are minimised too.
        """
        return self.budget.allocation or ("equal" if self.objective.minimize else "adaptive")

    def suggest(self, trial: Suggester, foundation: str, target: str) -> TrialConfig:
        """Draw a configuration for a pair."""
        drawn: dict[str, Value] = {}
        for name in ordered_by_condition(self.search):
            if self._is_searched(name, drawn):
                drawn[name] = _draw(trial, name, self.search[name])
        return self.config(drawn, foundation, target)

    def config(self, values: Mapping[str, Value], foundation: str, target: str) -> TrialConfig:
        """The configuration of a pair with these values of the searched parameters."""
        base = {
            **{f"data.{name}": value for name, value in self.data.model_dump().items()},
            **{f"foundation.{name}": value for name, value in self.pairs.by_label[foundation].model_dump().items()},
            **{f"target.{name}": value for name, value in self.pairs.by_name[target].model_dump().items()},
            "distill.epochs": self.budget.epochs,
            "seed": self.seed,
        }
        return TrialConfig().with_values({**base, **self.fixed, **values})

    def default_values(self) -> dict[str, Value]:
        """The searched parameters at `TrialConfig`'s defaults, or as near to them as the space allows."""
        return self.values_near(TrialConfig())

    def values_near(self, config: TrialConfig) -> dict[str, Value]:
        """The searched parameters as in another configuration, or as near to it as the space allows."""
        wanted = config.flat()
        values: dict[str, Value] = {}
        for name in ordered_by_condition(self.search):
            if self._is_searched(name, values):
                values[name] = self.search[name].nearest(wanted[name])
        return values

    def values_of(self, config: TrialConfig) -> dict[str, Value] | None:
        """The values of the searched parameters that give just this configuration; None if it is outside."""
        flat = config.flat()
        values: dict[str, Value] = {}
        for name in ordered_by_condition(self.search):
            if self._is_searched(name, values):
                if not self.search[name].contains(flat[name]):
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
        if any(name.startswith(PROGRAM_PARTS) for name in self.continuous()):
            return None
        return len(self.pairs.foundations) * self._count(lambda name: name.startswith(PROGRAM_PARTS))

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
        return any(name in parameter.when for other, parameter in self.search.items() if counts(other))

    def _is_searched(self, name: str, drawn: Mapping[str, Value]) -> bool:
        pinned = {**TrialConfig().flat(), **self.fixed}
        return all(
            drawn.get(other, None if other in self.search else pinned[other]) in allowed
            for other, allowed in self.search[name].when.items()
        )


def _same(value: Value, choice: Value) -> bool:
    """Equal, and not merely as `True` and 1 are."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _draw(trial: Suggester, name: str, parameter: Parameter) -> Value:
    if parameter.choices is not None:
        value: Value = trial.suggest_categorical(name, parameter.choices)
        return value
    assert parameter.low is not None and parameter.high is not None, "checked when the file was read"
    if parameter.is_int:
        low, high = int(parameter.low), int(parameter.high)
        return trial.suggest_int(name, low, high, step=int(parameter.step or 1), log=parameter.log)
    return trial.suggest_float(name, parameter.low, parameter.high, step=parameter.step, log=parameter.log)


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


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
