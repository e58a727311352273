"""The configuration of one trial. Its dotted paths are the parameter names of a space file."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
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
from tdmr_ray.models.names import sized
from tdmr_ray.training.metrics import METRICS

Precision = Literal["auto", "fp32", "bf16"]


SHAPES_TEACHER = "shapes_teacher"
"""Marks a field of `TrialConfig` that a teacher depends on; components carry the mark in their configuration class."""


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"must be one of {', '.join(METRICS)}{near_match(name, METRICS)}")
    return name


class Section(BaseModel):
    """A typed, immutable section of a configuration that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FoundationConfig(Section):
    """The pretrained network, or several as a committee."""

    name: str = ""
    """A built-in name or a timm name; empty for a committee, and where a trial needs no foundation."""
    weights: str = ""
    """A file in place of timm's own weights, or `random`."""
    image_px: int | None = Field(default=None, ge=8)
    """Height and width of its input; None is the network's own."""
    members: tuple["FoundationConfig", ...] = ()
    """Foundations of a committee, whose features are joined."""

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if self.members and (self.name or self.weights or self.image_px):
            raise ValueError("a committee has members alone; give name, weights and image_px to each of them")
        if len(self.members) == 1 or any(member.members or not member.name for member in self.members):
            raise ValueError("a committee must have at least two members, each of them one network with a name")
        return self

    @property
    def networks(self) -> "tuple[FoundationConfig, ...]":
        """The members of a committee, or the foundation itself."""
        return self.members or (self,)

    @property
    def label(self) -> str:
        """For tables and layout: the name, and what is unusual about it; a committee's members are joined by `+`."""
        if self.members:
            return "+".join(member.label for member in self.members)
        stem = Path(self.weights).stem
        return sized(self.name if stem in ("", self.name) else f"{self.name}@{stem}", self.image_px)


class TargetConfig(Section):
    """The small network."""

    name: str = ""
    """A timm name; empty where a trial trains no target."""
    weights: str = ""
    """Initial weights: `pretrained` for timm's own, a file, or empty for random ones."""
    input_px: int | None = Field(default=None, ge=8)
    """Side to which images are scaled before they enter it; None keeps the size of the data."""
    classifier: Literal["auto", "random", "fitted"] = "auto"
    """Initial classifier: `fitted` to the target's own features of the labelled images, or `random`. `auto` fits it
    where the target has initial weights and one linear layer as classifier."""

    @property
    def label(self) -> str:
        """Name with the input size where one was given: all that its cost on a device depends on."""
        return sized(self.name, self.input_px)


class ReprogramConfig(Section):
    """Training of a teacher on labelled images."""

    epochs: int = Field(default=6, ge=1)
    """Passes over at least 500 views."""
    batch_size: int = Field(default=64, ge=2)
    """Images in a batch."""


class PseudoLabelsConfig(Section):
    """Pseudo-labels: a network's own predictions in place of missing labels."""

    rounds: int = Field(default=0, ge=0)
    """Number of times that a teacher learns again with its own pseudo-labels; needs `data.unlabeled`."""
    threshold: float = Field(default=0.0, ge=0, le=1)
    """Minimum probability of a pseudo-label; also used by the control `self_training`."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Share of the predictions of each class that become pseudo-labels, the surest ones first."""


class OutputsConfig(Section):
    """Teacher outputs for the training views."""

    kind: Literal["stored", "live"] = "stored"
    """`stored`: computed once for all trials; `live`: computed for every batch, and nothing is kept."""
    num_views: int = Field(default=8, ge=1)
    """Number of views of each training image, through which epochs cycle; without effect at `view_averaging: 1`."""
    view_averaging: float = Field(default=0.0, ge=0, le=1)
    """Weight of the mean over several views of an image in the outputs for one view of it. At 1 all views of an image
    have the same outputs, and a target sees a new view in every pass."""
    propagation_neighbors: int = Field(default=0, ge=0)
    """Number of nearest training images in label propagation; needs `view_averaging`."""
    propagation_alpha: float = Field(default=0.8, ge=0, lt=1)
    """Weight of the neighbours in each propagation step; 0 leaves every image alone."""

    @property
    def num_different_views(self) -> int | None:
        """Number of views with outputs of their own; None if all views of an image have the same."""
        return None if self.view_averaging == 1 else self.num_views


class DistillConfig(Section):
    """Training of a target with teacher outputs."""

    epochs: int = Field(default=30, ge=1)
    """Passes over at least 500 views."""
    num_stages: int = Field(default=1, ge=1, le=8)
    """Number of stages of progressive distillation; the number of epochs stays the same."""
    alignment_weight: float = Field(default=5.0, ge=0)
    """Weight of the feature alignment."""
    logits_weight: float = Field(default=1.0, ge=0)
    """Weight of the logit loss."""
    labels_weight: float = Field(default=0.1, ge=0)
    """Weight of the cross entropy with labels."""
    self_distillation_weight: float = Field(default=0.0, ge=0, le=1)
    """Share of the target's own earlier logits in the logits it learns from, from the second stage on."""
    lr: float = Field(default=0.012, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=0.02, ge=0)
    """AdamW's weight decay."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Largest norm of a gradient."""
    batch_size: int = Field(default=64, ge=2)
    """Images in a batch."""
    patience: float = Field(default=1.0, gt=0, le=1)
    """Share of the epochs without an improvement on val after which the training ends; 1 never ends it early."""
    stop_at: float = Field(default=1.0, ge=0, le=1)
    """Share of the epochs after which the training ends, on the schedule of all of them; 0 trains none and keeps the
    start. A refit sets it."""
    batch_norm: Literal["trained", "frozen"] = "trained"
    """Statistics of batch norm: `trained` on the target's batches, or `frozen` as its initial weights have them."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weights of classes in the label loss: `balanced` is inversely proportional to their number of labelled images."""

    @property
    def last_epoch(self) -> int:
        """Number of the epoch after which a training ends at the latest, on the schedule of all `epochs`."""
        return _share(self.stop_at, self.epochs)

    @property
    def patience_epochs(self) -> int:
        """Number of epochs without an improvement on val after which a training ends."""
        return _share(self.patience, self.epochs)


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

        A component whose kind changes keeps the values that its new kind knows too and that were not defaults.

        Raises:
            pydantic.ValidationError: If a path or a value is not legal.
        """
        tree = self.model_dump(mode="json")
        for section, choice in COMPONENTS.items():
            kind = values.get(f"{section}.{choice.key}")
            if kind in choice.registry and kind != tree[section][choice.key]:
                tree[section] = _of_other_kind(tree[section], choice, str(kind))
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


def _share(share: float, epochs: int) -> int:
    """Return a share of some epochs, rounded up; `n / epochs` gives `n` whatever the rounding of the division."""
    return max(1, math.ceil(share * epochs - 1e-6))


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
