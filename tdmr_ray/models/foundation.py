"""A pretrained timm network that never learns: the source of knowledge."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tdmr_ray.errors import InputError
from tdmr_ray.models.embedded import EMBEDDED, load_embedded
from tdmr_ray.models.names import check_foundation
from tdmr_ray.models.spec import InputSpec


class Foundation(nn.Module):
    """A frozen network, split where its classifier begins.

    No parameter takes gradients, and it stays in evaluation mode whatever `train()` says, so that neither weights nor
    batch statistics move. Gradients still flow through it to its input.

    Args:
        network: A timm network.
        spec: What it expects; normalisation happens in here.
    """

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.network: Any = network.eval().requires_grad_(False)
        self.spec = spec
        with torch.no_grad():
            features = self.features(torch.zeros(1, 3, spec.size_px, spec.size_px))
            self.feature_dim = int(features.shape[1])
            self.num_source_classes = int(self.source_logits(features).shape[1]) if self.has_classifier else 0

    @property
    def has_classifier(self) -> bool:
        """Whether the network speaks in source classes; image towers without a head do not."""
        return not isinstance(self.network.get_classifier(), nn.Identity)

    @property
    def token_dim(self) -> int:
        """Width of the tokens that a prompt may add; 0 unless this is a plain transformer."""
        return int(self.network.embed_dim) if isinstance(self.network, VisionTransformer) else 0

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Penultimate features [B, d] of images in 0..1, [B, 3, size_px, size_px].

        Args:
            images: In 0..1.
            tokens: Learned tokens [P, token_dim] that join the patches of every image; transformers only.
        """
        network = self.network
        with nullcontext() if tokens is None else _visitors(network, tokens):
            maps = network.forward_features(self.spec.normalize(images))
        pooled: Tensor = network.forward_head(maps, pre_logits=True)
        return pooled

    def source_logits(self, features: Tensor) -> Tensor:
        """Scores over the source classes, [B, S], of features [B, d]."""
        logits: Tensor = self.network.get_classifier()(features)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Keeps evaluation mode."""
        return super().train(False)


@contextmanager
def _visitors(network: Any, tokens: Tensor) -> Iterator[None]:
    """While this lasts, tokens stand between the class token and the patches from the first block to the last."""
    place, count = int(network.num_prefix_tokens), len(tokens)

    def enter(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (x,) = inputs
        return (torch.cat([x[:, :place], tokens.expand(len(x), -1, -1), x[:, place:]], dim=1),)

    def leave(_: nn.Module, __: tuple[Tensor], x: Tensor) -> Tensor:
        return torch.cat([x[:, :place], x[:, place + count :]], dim=1)

    handles = network.blocks.register_forward_pre_hook(enter), network.blocks.register_forward_hook(leave)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def load_foundation(name: str) -> Foundation:
    """Load a built-in foundation or a timm network with its pretrained weights.

    Raises:
        InputError: If the name is unknown or the weights cannot be had; never falls back to random weights.
    """
    problems = check_foundation(name)
    if problems:
        raise InputError("foundation", problems)
    network = load_embedded(name) if name in EMBEDDED else _load_timm(name)
    return Foundation(network, InputSpec.from_timm(network.pretrained_cfg))  # type: ignore[arg-type]


def _load_timm(name: str) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        advice = "connect once, or set HF_HOME to a folder that holds them"
        message = f"the weights of '{name}' cannot be had: {reason}; {advice}"
        raise InputError("foundation", message) from error
