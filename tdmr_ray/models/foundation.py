"""Foundations: pretrained timm networks that stay frozen."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from typing import Any, Self

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from tdmr_ray.errors import InputError
from tdmr_ray.method.component import FoundationFacts
from tdmr_ray.method.resize import resize
from tdmr_ray.models.at_once import in_parts
from tdmr_ray.models.embedded import EMBEDDED, load_embedded
from tdmr_ray.models.names import HUBS, PRETRAINED, RANDOM, check_foundation, foundation_facts
from tdmr_ray.models.spec import InputSpec
from tdmr_ray.models.weights import UNUSABLE, create_network, create_random, has_copy, reason_of


class Foundation(nn.Module):
    """A frozen network, split where its classifier begins.

    No parameter takes gradients, and the network stays in evaluation mode even after `train()`, so that neither weights
    nor batch statistics change. Gradients still flow through it to its input.

    Args:
        network: A timm network.
        spec: Size and statistics of its input; the foundation normalises images itself.
    """

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.network: Any = network.eval().requires_grad_(False)
        self.spec = spec
        with torch.no_grad():
            image = torch.zeros(1, 3, spec.size_px, spec.size_px)
            features = self.features(image)
            self.feature_dim = int(features.shape[1])
            self.num_source_classes = self._count_source_classes(image, features) if self._heads else 0

    @property
    def has_classifier(self) -> bool:
        """Whether the network has source classes; image towers without a head have none."""
        return self.num_source_classes > 0

    @property
    def _heads(self) -> list[nn.Module]:
        """Classifiers: one, two for a distilled network (their mean counts), or none for an image tower."""
        found = self.network.get_classifier()
        heads = found if isinstance(found, tuple) else (found,)
        return [head for head in heads if isinstance(head, nn.Module) and not isinstance(head, nn.Identity)]

    def _count_source_classes(self, image: Tensor, features: Tensor) -> int:
        """Return S; 0 also if the network's logits are not those of its heads on the features."""
        own, split = self.network(self.spec.normalize(image)), self.source_logits(features)
        same = own.shape == split.shape and torch.allclose(own, split, rtol=1e-3, atol=1e-4)
        return int(split.shape[1]) if same else 0

    @property
    def token_dim(self) -> int:
        """Width of the tokens that a prompt may add; 0 unless the network is a plain transformer."""
        return int(self.network.embed_dim) if isinstance(self.network, VisionTransformer) else 0

    @property
    def member_dims(self) -> tuple[int, ...]:
        """Widths of the members' features; a single network is its own only member."""
        return (self.feature_dim,)

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Return penultimate features [B, d].

        Args:
            images: [B, 3, H, W] in 0..1; scaled to `spec.size_px`.
            tokens: Learned tokens [P, token_dim] that join the patches of every image; transformers only.
        """
        with nullcontext() if tokens is None else _added_tokens(self.network, tokens):
            return in_parts(self.features_at_once, images, self.spec.size_px)

    def features_at_once(self, images: Tensor) -> Tensor:
        """Return the same for all images at a time, whatever memory it takes."""
        maps = self.network.forward_features(self.spec.normalize(resize(images, self.spec.size_px)))
        pooled: Tensor = self.network.forward_head(maps, pre_logits=True)
        return pooled

    def source_logits(self, features: Tensor) -> Tensor:
        """Return source logits [B, S] for features [B, d]."""
        logits = [
            head(features[:, :, None, None]).flatten(1) if isinstance(head, nn.Conv2d) else head(features)
            for head in self._heads
        ]
        return torch.stack(logits).mean(dim=0)

    def train(self, mode: bool = True) -> Self:
        """Keep evaluation mode, whatever `mode` is."""
        return super().train(False)


@contextmanager
def _added_tokens(network: Any, tokens: Tensor) -> Iterator[None]:
    """Insert tokens between the class token and the patches, before the first block, and remove them after the last."""
    start, count = int(network.num_prefix_tokens), len(tokens)

    def enter(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (x,) = inputs
        return (torch.cat([x[:, :start], tokens.expand(len(x), -1, -1), x[:, start:]], dim=1),)

    def leave(_: nn.Module, __: tuple[Tensor], x: Tensor) -> Tensor:
        return torch.cat([x[:, :start], x[:, start + count :]], dim=1)

    handles = network.blocks.register_forward_pre_hook(enter), network.blocks.register_forward_hook(leave)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def load_foundation(name: str, *, weights: str = "", image_px: int | None = None) -> Foundation:
    """Load a built-in foundation, or a timm network with weights.

    Args:
        name: Built-in name, timm name, `hf-hub:OWNER/MODEL`, or `local-dir:FOLDER` in the hub's layout.
        weights: File (.safetensors, .pth), `RANDOM`, or '' for timm's own.
        image_px: Side of the images; None is the network's default. Position embeddings are resized.

    Raises:
        InputError: If the name is unknown, or the weights are unavailable or do not fit; there is no fallback.
    """
    problems = check_foundation(name, weights)
    if problems and not has_copy(name, weights or PRETRAINED):
        raise InputError("foundation", problems)
    if name in EMBEDDED:
        network = load_embedded(name)
        return Foundation(network, InputSpec.from_timm(network.pretrained_cfg))  # type: ignore[arg-type]
    try:
        if weights == RANDOM:
            network = create_random(name, image_px=image_px)
        else:
            network = create_network(name, weights or PRETRAINED, image_px=image_px)
    except UNUSABLE as error:
        raise InputError("foundation", _no_weights(name, weights, error)) from error
    spec = InputSpec.from_timm(network.pretrained_cfg)
    return Foundation(network, replace(spec, size_px=image_px or spec.size_px))


@cache
def facts_of(name: str, *, weights: str = "", image_px: int | None = None) -> FoundationFacts:
    """Return the facts of a foundation; its weights are loaded only if they come from a file or a hub.

    Raises:
        InputError: If weights have to be loaded and `load_foundation` raises it.
    """
    if weights in ("", RANDOM) and not name.startswith(HUBS):
        facts = foundation_facts(name)
        return replace(facts, image_px=image_px or facts.image_px)
    foundation = load_foundation(name, weights=weights, image_px=image_px)
    return FoundationFacts(name, foundation.spec.size_px, foundation.num_source_classes, foundation.token_dim > 0)


def _no_weights(name: str, weights: str, error: Exception) -> str:
    reason = reason_of(error)
    if weights:
        return f"the weights in {weights} cannot be loaded into '{name}': {reason}"
    return (
        f"the weights of '{name}' are unavailable: {reason}; connect once, or set HF_HOME to a folder that has them, "
        f"or name a file: {{name: {name}, weights: FILE}}"
    )
