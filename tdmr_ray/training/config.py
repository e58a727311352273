"""Everything that fixes one trial. A dotted path in here is a parameter's name in a space file."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tdmr_ray.data.task import DataConfig
from tdmr_ray.data.views import ViewConfig
from tdmr_ray.models.names import sized

Precision = Literal["auto", "fp32", "bf16"]


class Part(BaseModel):
    """A typed, immutable piece of configuration that knows no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FoundationConfig(Part):
    """The pretrained network; '' where a trial needs none."""

    name: str = ""
    weights: str = ""
    """A file in place of timm's own weights; `random` for a network that knows nothing."""
    image_px: int | None = Field(default=None, ge=8)
    """Side of the images that it takes; None is its own."""

    @property
    def label(self) -> str:
        """For tables and layout: the name, and what is unusual about it."""
        stem = Path(self.weights).stem
        return sized(self.name if stem in ("", self.name) else f"{self.name}@{stem}", self.image_px)


class TargetConfig(Part):
    """The small network; '' where a trial trains none."""

    name: str = ""
    weights: str = ""
    """To start from: `pretrained` for timm's own, or a file; '' for random ones."""
    input_px: int | None = Field(default=None, ge=8)
    """Side to which it scales the images before it looks at them; None leaves them as the data have them."""

    @property
    def label(self) -> str:
        """What its cost on a device depends on."""
        return sized(self.name, self.input_px)


class PromptConfig(Part):
    """Learnable pixels around or over the image, or tokens beside its patches."""

    kind: Literal["border", "overlay", "masked", "tokens"] = "border"
    size_px: int = Field(default=0, ge=0)
    """Width on each side, in the foundation's pixels; 0 is no prompt. Not read by `tokens`."""
    patch_px: Literal[1, 2, 4, 8, 16] = 4
    """Side of the patches that share a mask value; read by `masked`."""
    num_tokens: int = Field(default=5, ge=1)
    """Learned tokens; read by `tokens`."""


class MappingConfig(Part):
    """From the foundation's answer to the proxy space."""

    kind: Literal["random", "frequency", "iterative", "bayesian", "bayesian_plus", "linear", "prototype"] = "linear"
    dim: int = Field(default=64, ge=2)
    """Directions of the proxy space; read by `prototype`."""
    smoothing: float = Field(default=1.0, gt=0)
    """Added to a source class's count; read by `bayesian` and `bayesian_plus`."""
    top_k_fraction: float = Field(default=0.15, gt=0, le=1)
    """Share of source classes that count for an image; read by `bayesian_plus`."""


class ReprogramConfig(Part):
    """How a teacher is trained, on labelled images."""

    epochs: int = Field(default=6, ge=1)
    lr: float = Field(default=0.01, gt=0)
    """Of the mapping, of a mask's network and of tokens."""
    prompt_lr: float = Field(default=0.1, gt=0)
    """Of the prompt's pixels."""
    weight_decay: float = Field(default=0.01, ge=0)
    batch_size: int = Field(default=64, ge=2)


class PseudoLabelsConfig(Part):
    """How a network's own answers stand in for missing labels."""

    rounds: int = Field(default=0, ge=0)
    """How often a teacher learns again, from its own answers too; needs `data.unlabeled`."""
    threshold: float = Field(default=0.0, ge=0, le=1)
    """Least probability of an answer that counts; read by teachers and by the control `self_training`."""


class OutputsConfig(Part):
    """What a teacher leaves for targets."""

    kind: Literal["stored", "live"] = "stored"
    """`stored`: the teacher answers once, for all trials; `live`: for every batch, and nothing is kept."""
    num_views: int = Field(default=8, ge=1)
    """Views of each training image; epoch after epoch goes round them."""
    view_averaging: float = Field(default=0.0, ge=0, le=1)
    """Weight of the mean over several views of an image in the outputs for one view of it."""
    propagation_neighbors: int = Field(default=0, ge=0)
    """Nearest training images that take part in label propagation; needs `view_averaging`."""
    propagation_alpha: float = Field(default=0.8, ge=0, lt=1)
    """Weight of the neighbours in each propagation step; 0 leaves every image alone."""


class TemperatureConfig(Part):
    """Softening of the logits over the whole distillation."""

    schedule: Literal["constant", "linear", "cosine", "exponential", "step", "learned"] = "constant"
    start: float = Field(default=3.0, gt=0)
    end: float = Field(default=1.0, gt=0)
    """Not read by `constant`; for `learned`, start and end are the bounds."""


class DistillConfig(Part):
    """How a target learns from a teacher's outputs."""

    epochs: int = Field(default=30, ge=1)
    num_stages: int = Field(default=1, ge=1, le=8)
    loss: Literal["kl", "mse", "dist", "dkd"] = "kl"
    standardize: bool = False
    """Logits to mean 0 and deviation 1 before the loss."""
    alignment: Literal["cka", "project"] = "cka"
    alignment_weight: float = Field(default=5.0, ge=0)
    logits_weight: float = Field(default=1.0, ge=0)
    self_distillation_weight: float = Field(default=0.0, ge=0, le=1)
    """From the second stage on, share of what the target says of an image in what the teacher says of it."""
    labels_weight: float = Field(default=0.1, ge=0)
    lr: float = Field(default=0.012, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    """The longest gradient; longer ones are shortened to it."""
    batch_size: int = Field(default=64, ge=2)


class TrialConfig(Part):
    """One trial: replays bit for bit on a CPU with the same number of threads.

    `method` is what is done: `tdmr` reprograms and distils, `scratch` trains the target with labels alone,
    `self_training` does so twice and fills in labels between, `linear_probe` stops after the teacher. The controls
    `plain_kd` and `fine_tune` are settings of these.
    """

    method: Literal["tdmr", "scratch", "self_training", "linear_probe"] = "tdmr"
    data: DataConfig = DataConfig()
    foundation: FoundationConfig = FoundationConfig()
    target: TargetConfig = TargetConfig()
    prompt: PromptConfig = PromptConfig()
    mapping: MappingConfig = MappingConfig()
    reprogram: ReprogramConfig = ReprogramConfig()
    pseudo_labels: PseudoLabelsConfig = PseudoLabelsConfig()
    views: ViewConfig = ViewConfig()
    outputs: OutputsConfig = OutputsConfig()
    temperature: TemperatureConfig = TemperatureConfig()
    distill: DistillConfig = DistillConfig()
    precision: Precision = "auto"
    """Of the networks' forward passes; `auto` is bf16 on a GPU that is made for it, else fp32. Weights, losses and
    optimisers are always in fp32."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        if self.distill.num_stages > self.distill.epochs:
            raise ValueError(
                "distill.num_stages <= distill.epochs must hold, "
                f"got ({self.distill.num_stages}, {self.distill.epochs})"
            )
        return self

    @property
    def needs_teacher(self) -> bool:
        """Whether a foundation takes part."""
        return self.method in ("tdmr", "linear_probe")

    @property
    def num_epochs(self) -> int:
        """Epochs that are reported; a linear probe reports once, self-training trains twice."""
        if self.method == "linear_probe":
            return 1
        return self.distill.epochs * (2 if self.method == "self_training" else 1)

    def key(self) -> str:
        """A short hash of everything in it: equal configurations have equal keys."""
        return hash_json(self.model_dump(mode="json"))

    def replace(self, **dotted: Any) -> "TrialConfig":
        """A copy with some values changed, by dotted path with `__` for the dot: `replace(prompt__size_px=2)`."""
        return self.with_values({path.replace("__", "."): value for path, value in dotted.items()})

    def with_values(self, values: dict[str, Any]) -> "TrialConfig":
        """A copy with some values changed, by dotted path.

        Raises:
            pydantic.ValidationError: If a path or a value is not legal.
        """
        tree = self.model_dump(mode="json")
        for path, value in values.items():
            *parents, leaf = path.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = value
        return TrialConfig.model_validate(tree)

    def flat(self) -> dict[str, Any]:
        """All values by dotted path."""
        return flatten(self.model_dump(mode="json"))


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested dictionary as one level with dotted paths."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def hash_json(value: object) -> str:
    """The first 16 hex digits of the SHA-256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
