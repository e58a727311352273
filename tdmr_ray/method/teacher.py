"""A teacher: prompt + foundation + mapping. It emits the proxy space."""

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from tdmr_ray.method.label_mapping import LabelMapping
from tdmr_ray.method.projection import LinearMapping, PrototypeMapping
from tdmr_ray.method.prompts import Prompt, resize

Mapping = LabelMapping | LinearMapping | PrototypeMapping

MAPPINGS = ("random", "frequency", "iterative", "bayesian", "bayesian_plus", "linear", "prototype")


class SourceNetwork(Protocol):
    """What a teacher needs of a foundation."""

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """[B, 3, S, S] in 0..1 to [B, d]; tokens [P, width] join the patches of a transformer."""

    def source_logits(self, features: Tensor) -> Tensor:
        """[B, d] to [B, S]."""


class ProxySpace(NamedTuple):
    """What every teacher emits, whatever its mapping: embedding [B, d] and task-class logits [B, C]."""

    embedding: Tensor
    logits: Tensor


class Teacher(nn.Module):
    """A reprogrammed foundation; only prompt and mapping hold what was learned.

    The foundation is shared between teachers and not a part of `state_dict()`.
    """

    def __init__(self, prompt: Prompt, foundation: SourceNetwork, mapping: Mapping) -> None:
        super().__init__()
        self.prompt = prompt
        self.mapping = mapping
        self._foundation = [foundation]

    def source(self, images: Tensor, *, prompted: bool = True) -> tuple[Tensor, Tensor]:
        """Features [B, d] and source logits [B, S] of images in 0..1, with the prompt or only resized."""
        foundation = self._foundation[0]
        if prompted:
            features = foundation.features(self.prompt(images), self.prompt.tokens)
        else:
            features = foundation.features(resize(images, self.prompt.image_px))
        if isinstance(self.mapping, LabelMapping):
            return features, foundation.source_logits(features)
        return features, features.new_zeros(len(features), 0)

    def forward(self, images: Tensor) -> ProxySpace:
        """The proxy space of images in 0..1, [B, 3, h, w]."""
        return ProxySpace(*cast("tuple[Tensor, Tensor]", self.mapping(*self.source(images))))

    @property
    def learns(self) -> bool:
        """Whether anything in it is trained by gradients."""
        return any(parameter.requires_grad for parameter in self.parameters())


def build_mapping(
    kind: str,
    *,
    feature_dim: int,
    num_source_classes: int,
    num_classes: int,
    dim: int,
    smoothing: float,
    top_k_fraction: float,
    seed: int,
) -> Mapping:
    """Assemble a mapping of one of the kinds in `MAPPINGS`.

    Raises:
        ValueError: If the kind is unknown, or one-to-one with too few source classes.
    """
    if kind == "linear":
        return LinearMapping(feature_dim, num_classes)
    if kind == "prototype":
        return PrototypeMapping(feature_dim, num_classes, dim)
    if kind not in MAPPINGS:
        raise ValueError(f"mapping kind must be one of {', '.join(MAPPINGS)}, but got '{kind}'")
    return LabelMapping(
        kind,
        num_source_classes=num_source_classes,
        num_classes=num_classes,
        seed=seed,
        smoothing=smoothing,
        top_k_fraction=top_k_fraction,
    )


@torch.no_grad()
def refit_mapping(mapping: Mapping, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
    """Let a mapping look at labelled answers of the foundation: [N, d], [N, S], [N]."""
    if isinstance(mapping, LabelMapping):
        mapping.refit(source_logits, labels)
    else:
        mapping.refit(features, labels)
