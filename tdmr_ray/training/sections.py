"""Sections of a trial's configuration, apart from the images and the components of the method."""

import math
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tdmr_ray.models.names import sized

PRETRAINED_LR = 0.0001
"""Default learning rate of AdamW from initial weights, a hundredth of the default from random ones."""


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
    """Peak learning rate. The default is 0.0001 for a target with `weights`."""
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
    batch_norm: Literal["auto", "trained", "frozen"] = "auto"
    """Statistics of batch norm: `trained` on the target's batches, or `frozen` as its initial weights have them, which
    `auto` does for a target with `weights`."""
    learn_first: Literal["auto", "labels", "teacher"] = "auto"
    """What the first half of the epochs is learned from: the `teacher`, or the `labels` alone, after which the target's
    own logits for all training images are averaged with the teacher's. `auto` is `labels` for a target with
    `weights`."""
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


def _share(share: float, epochs: int) -> int:
    """Return a share of some epochs, rounded up; `n / epochs` gives `n` whatever the rounding of the division."""
    return max(1, math.ceil(share * epochs - 1e-6))
