"""A teacher: prompt + foundation + mapping. Its outputs are the proxy space."""

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from tdmr_ray.method.mappings import Mapping
from tdmr_ray.method.prompts import Prompt


class SourceNetwork(Protocol):
    """The part of a foundation that a teacher uses."""

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Map images [B, 3, H, W] in 0..1 to features [B, d]; tokens [P, width] join a transformer's patches."""

    def source_logits(self, features: Tensor) -> Tensor:
        """Map features [B, d] to source logits [B, S]."""


class ProxySpace(NamedTuple):
    """Outputs of every teacher, whatever its mapping: embedding [B, d] and task logits [B, C]."""

    embedding: Tensor
    logits: Tensor


HALF_MAX = float(torch.finfo(torch.float16).max)


def to_half(values: Tensor) -> Tensor:
    """Round to half precision; values beyond its range become its largest."""
    return values.clamp(-HALF_MAX, HALF_MAX).half()


class Teacher(nn.Module):
    """A reprogrammed foundation; only prompt and mapping hold trained values.

    The foundation is shared between teachers and is not part of `state_dict()`. Features without a learned prompt are
    rounded to half precision, in which they are stored for all teachers.
    """

    def __init__(self, prompt: Prompt, foundation: SourceNetwork, mapping: Mapping) -> None:
        super().__init__()
        self.prompt = prompt
        self.mapping = mapping
        self._foundation = [foundation]

    def source(self, images: Tensor, *, prompted: bool = True) -> tuple[Tensor, Tensor]:
        """Run the foundation on images in 0..1, with the prompt or as they are.

        Returns:
            Features [B, d], and source logits [B, S], or [B, 0] if the mapping does not read them.
        """
        foundation = self._foundation[0]
        if prompted and self.prompt.learns:
            features = foundation.features(self.prompt(images), self.prompt.extra_tokens())
        else:
            features = to_half(foundation.features(images)).float()
        return features, self.source_logits(features)

    def source_logits(self, features: Tensor) -> Tensor:
        """Map features [B, d] to source logits [B, S], or [B, 0] if the mapping does not read them."""
        if self.mapping.reads_source_logits:
            return self._foundation[0].source_logits(features)
        return features.new_zeros(len(features), 0)

    def forward(self, images: Tensor) -> ProxySpace:
        """Map images [B, 3, h, w] in 0..1 to the proxy space."""
        return ProxySpace(*cast("tuple[Tensor, Tensor]", self.mapping(*self.source(images))))

    def read(self, features: Tensor) -> ProxySpace:
        """Map features [B, d] to the proxy space."""
        return ProxySpace(*cast("tuple[Tensor, Tensor]", self.mapping(features, self.source_logits(features))))

    @property
    def learns(self) -> bool:
        """Whether any parameter is trained by gradients."""
        return any(parameter.requires_grad for parameter in self.parameters())
