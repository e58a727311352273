"""The sections of a space file, apart from what is searched."""

import re
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, field_validator

from tdmr_ray.durations import parse_duration
from tdmr_ray.space.controls import ControlEntry
from tdmr_ray.training.controls import LinearProbe, MajorityControl, PlainKD, Scratch
from tdmr_ray.training.metrics import metric_name
from tdmr_ray.training.sections import FoundationConfig, TargetConfig

SamplerName = Literal["tpe", "gp", "nsga2", "random"]
AllocationName = Literal["equal", "adaptive"]
CostName = Literal["latency_ms", "params", "macs"]

FoundationEntry = str | FoundationConfig

Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]


class Section(BaseModel):
    """A part of a space file; unknown keys are problems."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Pairs(Section):
    """Foundations and targets; every foundation is tried with every target."""

    foundations: tuple[FoundationEntry | tuple[FoundationEntry, ...], ...] = Field(min_length=1)
    """Names, or mappings with `name`, `weights` and `image_px`; a list of them is a committee."""
    targets: tuple[str | TargetConfig, ...] = Field(min_length=1)
    """Names, or mappings with `name`, initial `weights` and `input_px`."""

    @field_validator("foundations")
    @classmethod
    def _committees_have_members(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        for entry in entries:
            if isinstance(entry, tuple) and (len(entry) < 2 or any(_is_nameless(member) for member in entry)):
                raise ValueError("a list is a committee and must have at least two members, each with a name")
        return entries

    @property
    def by_name(self) -> dict[str, TargetConfig]:
        """The targets by name, which is what tables call them."""
        parts = [TargetConfig(name=each) if isinstance(each, str) else each for each in self.targets]
        return {part.name: part for part in parts}

    @property
    def by_label(self) -> dict[str, FoundationConfig]:
        """The foundations by what tables call them."""
        parts = [_foundation(each) for each in self.foundations]
        return {part.label: part for part in parts}


def _is_nameless(entry: FoundationEntry) -> bool:
    return not (entry if isinstance(entry, str) else entry.name)


def _foundation(entry: FoundationEntry | tuple[FoundationEntry, ...]) -> FoundationConfig:
    match entry:
        case FoundationConfig():
            return entry
        case str():
            return FoundationConfig(name=entry)
        case _:
            return FoundationConfig(members=tuple(_foundation(member) for member in entry))


class Limit(Section):
    """The most that a target may cost."""

    cost: CostName
    most: float


def parse_limit(value: object) -> object:
    """Parse 'params <= 2e6' into a `Limit`; pydantic validates everything that is not a string.

    Raises:
        ValueError: If a string is not a limit.
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
    """The metric by which everything is chosen, and costs to minimise."""

    metric: str = "val/top1"
    """Metric on val that chooses epochs, trials, learning rates and models. The metric knows whether more is better."""
    minimize: Annotated[tuple[CostName, ...], BeforeValidator(one_or_more)] = ()
    """Costs of the target. They are equal within a pair, so each pair's study follows the metric alone; early stopping
    and the leaderboard compare pairs by Pareto front."""
    constraints: tuple[Annotated[Limit, BeforeValidator(parse_limit)], ...] = ()
    """Limits such as 'latency_ms <= 5'; a target that breaks one is left out before anything is trained."""

    @property
    def name(self) -> str:
        """Name of the metric, without the prefix of its split."""
        return metric_name(self.metric)


class Budget(Section):
    """Limits of the search, shared by all pairs; the first that is reached ends it."""

    trials: PositiveInt = 24
    """Number of trials."""
    epochs: PositiveInt = 30
    """Distillation epochs of a trial."""
    time: Duration | None = None
    """Wall time of search and confirmation, as '20m' or '1h30m'."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """GPU hours of the search's trials."""
    usd: float | None = Field(default=None, gt=0)
    """Cost of the search's trials in US dollars, by the prices in `prices.yaml`."""
    allocation: AllocationName | None = None
    """Rule that shares trials among pairs; None is `adaptive`, or `equal` where costs are minimised."""


class Confirm(Section):
    """The runs of the best of each pair after the search."""

    top: int = Field(default=1, ge=0)
    """Finalists of each pair; 0 omits the confirmation."""
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    """Seeds with which every finalist and control runs."""
    controls: tuple[ControlEntry, ...] = (
        Scratch.Config(),
        PlainKD.Config(),
        LinearProbe.Config(),
        MajorityControl.Config(),
    )
    """Rivals of the finalists: names, or mappings such as `{kind: plain_kd, temperature: 2}`."""
    steps: PositiveInt = 1500
    """Largest number of optimisation steps of a finalist, and of a rival that is trained."""
    patience: float = Field(default=0.5, gt=0, le=1)
    """Share of the steps without an improvement on val after which a training ends; the same for everybody."""
    rival_trials: int | None = Field(default=None, ge=0)
    """Trials that choose the learning rate of each rival; None gives as many as the pair had."""
    refit: bool | Literal["all"] = True
    """Whether finalists and rivals are trained again with the labels of val; `all` adds those of test to what ships."""
    cv_folds: int | None = Field(default=None, ge=2)
    """Folds of a cross-validation of the finalists and rivals over all labelled images; None for none."""


class Resources(Section):
    """Processors and processes of a trial."""

    cpu: PositiveInt = 1
    """CPU cores of a worker."""
    gpu: Annotated[float, Field(ge=0)] | Literal["auto"] = 0
    """Share of a GPU for a worker; `auto` measures how many trials fit into its memory."""
    workers: PositiveInt = 1
    """Processes that run a trial together with Ray Train; 1 runs it in a warm actor, which starts at once."""
    min_workers: PositiveInt | None = None
    """Smallest number of workers that is accepted where machines are missing; None requires all."""
    reprogram_workers: PositiveInt = 1
    """Processes that make a teacher together with Ray Train, where a trial has one worker."""
    concurrent: PositiveInt | None = None
    """Number of concurrent trials; None is as many as fit."""
    trial_timeout: Duration = 3600.0
    """Longest time for an epoch, the first including its teacher; a slower trial is ended and recorded as failed."""

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
        """Workers that must fit beside the trials, so that those that make a teacher always get a slot."""
        return self.reprogram_workers if self.workers == 1 and self.reprogram_workers > 1 else 0

    @property
    def gpu_share(self) -> float:
        """Share of a GPU for one trial; 0 until `auto` is resolved."""
        return 0.0 if self.gpu == "auto" else self.gpu
