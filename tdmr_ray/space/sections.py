"""The sections of a space file, apart from what is searched."""

import re
from typing import Annotated, Literal, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from tdmr_ray.durations import parse_duration
from tdmr_ray.training.config import FoundationConfig, TargetConfig

SamplerName = Literal["tpe", "gp", "nsga2", "random"]
AllocationName = Literal["equal", "adaptive"]
CostName = Literal["latency_ms", "params", "macs"]

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
    """How pairs share the trials, see `tuning.allocation`; None: `Space.allocation` decides."""


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
