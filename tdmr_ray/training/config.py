"""The configuration of one trial. Its dotted paths are the parameter names of a space file."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.fields import FieldInfo

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.views import ViewConfig
from tdmr_ray.errors import near_match
from tdmr_ray.method.alignments import ALIGNMENTS, AlignmentConfig, CKAAlignment
from tdmr_ray.method.component import OneOf
from tdmr_ray.method.losses import LOSSES, KLLoss, LogitLossConfig
from tdmr_ray.method.mappings import MAPPINGS, LinearMapping, MappingConfig
from tdmr_ray.method.prompts import PROMPTS, BorderPrompt, PromptConfig
from tdmr_ray.method.schedules import SCHEDULES, ConstantSchedule, ScheduleConfig
from tdmr_ray.training.metrics import METRICS
from tdmr_ray.training.sections import (
    PRETRAINED_LR,
    DistillConfig,
    FoundationConfig,
    OutputsConfig,
    PseudoLabelsConfig,
    ReprogramConfig,
    Section,
    TargetConfig,
)

Precision = Literal["auto", "fp32", "bf16"]


SHAPES_TEACHER = "shapes_teacher"
"""Marks a field of `TrialConfig` that a teacher depends on; components carry the mark in their configuration class."""


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"must be one of {', '.join(METRICS)}{near_match(name, METRICS)}")
    return name


class TrialConfig(Section):
    """One trial: replays bit for bit on a CPU with the same number of threads.

    `method` is what is run: `tdmr` reprograms and distils, `scratch` trains the target with labels alone,
    `self_training` does so twice with pseudo-labels between, `linear_probe` stops after the teacher, `frozen_target`
    fits a linear head on the target's own features, and `majority` always predicts the largest class. The other
    controls are settings of these.
    """

    method: Literal["tdmr", "scratch", "self_training", "linear_probe", "frozen_target", "majority"] = "tdmr"
    """Method of the trial; a search sets it."""
    data: DataConfig = DataConfig()
    foundation: Annotated[FoundationConfig, SHAPES_TEACHER] = FoundationConfig()
    target: TargetConfig = TargetConfig()
    prompt: Annotated[PromptConfig, OneOf(PROMPTS)] = BorderPrompt.Config()
    mapping: Annotated[MappingConfig, OneOf(MAPPINGS)] = LinearMapping.Config()
    reprogram: Annotated[ReprogramConfig, SHAPES_TEACHER] = ReprogramConfig()
    pseudo_labels: Annotated[PseudoLabelsConfig, SHAPES_TEACHER] = PseudoLabelsConfig()
    views: Annotated[ViewConfig, SHAPES_TEACHER] = ViewConfig()
    outputs: Annotated[OutputsConfig, SHAPES_TEACHER] = OutputsConfig()
    temperature: Annotated[ScheduleConfig, OneOf(SCHEDULES, key="schedule")] = ConstantSchedule.Config()
    loss: Annotated[LogitLossConfig, OneOf(LOSSES)] = KLLoss.Config()
    alignment: Annotated[AlignmentConfig, OneOf(ALIGNMENTS)] = CKAAlignment.Config()
    distill: DistillConfig = DistillConfig()
    precision: Annotated[Precision, SHAPES_TEACHER] = "auto"
    """Precision of the networks' forward passes: `auto` is bf16 on a GPU with bf16 hardware, else fp32. Weights, losses
    and optimisers always stay in fp32."""
    objective: Annotated[str, SHAPES_TEACHER, AfterValidator(_known_metric)] = "top1"
    """Metric on val that chooses the best epoch of teacher and target; equal values are ordered by the log loss."""
    seed: Annotated[int, SHAPES_TEACHER] = Field(default=0, ge=0)
    """Seed of initial weights and batch order, and of views if `views.seed` is None."""

    @model_validator(mode="before")
    @classmethod
    def _rate_fits_start(cls, tree: Any) -> Any:
        """Give a target with initial weights a rate that does not destroy them, unless a rate is given."""
        if not isinstance(tree, dict):
            return tree
        target, distill = (_given(tree.get(name, {})) for name in ("target", "distill"))
        if not target.get("weights") or "lr" in distill:
            return tree
        return {**tree, "distill": {**distill, "lr": PRETRAINED_LR}}

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        if self.distill.num_stages > self.distill.epochs:
            raise ValueError(
                "distill.num_stages <= distill.epochs must hold, "
                f"got ({self.distill.num_stages}, {self.distill.epochs})"
            )
        return self

    @classmethod
    def teacher_sections(cls) -> tuple[str, ...]:
        """Return the sections that a teacher depends on, besides the images, which have a fingerprint."""
        return tuple(name for name, field in cls.model_fields.items() if _shapes_teacher(field))

    @property
    def needs_teacher(self) -> bool:
        """Whether a foundation takes part."""
        return self.method in ("tdmr", "linear_probe")

    @property
    def num_trainings(self) -> int:
        """Trainings of a target by gradients, one after the other: two for self-training, none without such a one."""
        return {"tdmr": 1, "scratch": 1, "self_training": 2}.get(self.method, 0)

    @property
    def trains_target(self) -> bool:
        """Whether a target is trained by gradients, with a learning rate and a number of steps."""
        return self.num_trainings > 0

    @property
    def num_epochs(self) -> int:
        """Number of epochs that are reported if val ends none of the trainings early.

        It is one without a training by gradients, else the epochs of all trainings up to `distill.stop_at`.
        """
        return self.distill.last_epoch * self.num_trainings if self.trains_target else 1

    @property
    def view_seed(self) -> int:
        """Seed of the views."""
        return self.seed if self.views.seed is None else self.views.seed

    def key(self) -> str:
        """Return a short hash of the whole configuration."""
        return hash_json(self.model_dump(mode="json"))

    def replace(self, **dotted: Any) -> "TrialConfig":
        """Return a copy with some values changed, `__` standing for the dot: `replace(prompt__size_px=2)`."""
        return self.with_values({path.replace("__", "."): value for path, value in dotted.items()})

    def with_values(self, values: Mapping[str, Any]) -> "TrialConfig":
        """Return a copy with some values changed, by dotted path.

        A component whose kind changes keeps the values that its new kind knows too and that were not defaults. A
        target that gains or loses its initial weights changes a learning rate that was the default.

        Raises:
            pydantic.ValidationError: If a path or a value is not legal.
        """
        tree = self.model_dump(mode="json")
        if tree["distill"]["lr"] == _default_lr(self.target):
            del tree["distill"]["lr"]
        for section, choice in COMPONENTS.items():
            kind = values.get(f"{section}.{choice.key}")
            if isinstance(kind, str) and kind in choice.registry and kind != tree[section][choice.key]:
                tree[section] = _of_other_kind(tree[section], choice, kind)
        for path, value in values.items():
            *parents, leaf = path.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = value
        return TrialConfig.model_validate(tree)

    def flat(self) -> dict[str, Any]:
        """Return all values by dotted path."""
        return flatten(self.model_dump(mode="json"))


def _given(section: Any) -> dict[str, Any]:
    """Return the values that a section was given; {} if it is none, which its own validation reports."""
    if isinstance(section, Section):
        return section.model_dump(exclude_unset=True)
    return section if isinstance(section, dict) else {}


def _default_lr(target: TargetConfig) -> float:
    return PRETRAINED_LR if target.weights else DistillConfig().lr


def _shapes_teacher(field: FieldInfo) -> bool:
    return SHAPES_TEACHER in field.metadata or bool(getattr(field.annotation, SHAPES_TEACHER, False))


def _choice_in(field: FieldInfo) -> OneOf | None:
    return next((mark for mark in field.metadata if isinstance(mark, OneOf)), None)


COMPONENTS: dict[str, OneOf] = {
    name: choice for name, field in TrialConfig.model_fields.items() if (choice := _choice_in(field)) is not None
}
"""Sections that hold a component, with the registry that they choose from."""


def _of_other_kind(tree: dict[str, Any], choice: OneOf, kind: str) -> dict[str, Any]:
    """Return the values of a component that another kind of it takes over."""
    defaults = choice.registry[tree[choice.key]].Config().model_dump(mode="json")
    known = choice.registry[kind].Config.model_fields
    return {name: value for name, value in tree.items() if name in known and value != defaults[name]}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested dictionary as one level with dotted paths."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def hash_json(value: object) -> str:
    """Return the first 16 hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
