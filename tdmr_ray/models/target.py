"""Targets: the small networks that ship."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tdmr_ray.errors import InputError
from tdmr_ray.method.resize import resize
from tdmr_ray.models.fast_layers import use_fast_layers
from tdmr_ray.models.names import PRETRAINED, check_target
from tdmr_ray.models.spec import InputSpec
from tdmr_ray.models.weights import UNUSABLE, create_network, has_copy, reason_of

WEIGHTS_FILE = "target.safetensors"
SHA256 = "sha256"
"""Entry of a file's metadata with the digest of its tensors."""
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class DamagedWeights(ValueError):
    """A file does not hold the weights that were written, or none of a target."""


class TargetOutput(NamedTuple):
    """Penultimate features [B, d] and task-class logits [B, C]."""

    features: Tensor
    logits: Tensor


class Target(nn.Module):
    """A timm network with a head for the task classes.

    Args:
        network: A timm network with C outputs.
        spec: Size and statistics of its input; the target scales and normalises images itself.

    Raises:
        InputError: If the network ends in something else than one linear layer.
    """

    network: Any

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.feature_dim = _feature_dim(self.network)

    def forward(self, images: Tensor, detach_head: bool = False) -> TargetOutput:
        """Return features and logits.

        Args:
            images: [B, 3, H, W] in 0..1, of any size; scaled to `spec.size_px`.
            detach_head: Stop the gradients of the logits at the features.
        """
        network = self.network
        maps = network.forward_features(self.spec.normalize(resize(images, self.spec.size_px)))
        features: Tensor = network.forward_head(maps, pre_logits=True)
        logits: Tensor = network.get_classifier()(features.detach() if detach_head else features)
        return TargetOutput(features, logits)


def _feature_dim(network: Any) -> int:
    width = getattr(network.get_classifier(), "in_features", None)
    if width is None:
        name = network.pretrained_cfg.get("architecture", type(network).__name__)
        rule = f"must end in one linear layer, got '{name}', which does not; choose another, such as lcnet_100"
        raise InputError("target", rule)
    return int(width)


def load_target(name: str, *, num_classes: int, image_px: int, weights: str = "", empty: bool = False) -> Target:
    """Build a target for `num_classes` task classes.

    The memory format is `channels_last`, which is 1.5 times faster on CPUs for the depthwise convolutions of mobile
    networks.

    Args:
        name: timm name.
        num_classes: C.
        image_px: Side to which the target scales images.
        weights: '' for random ones from torch's global generator, `PRETRAINED`, or a file (.safetensors, .pth).
        empty: Skip loading `weights`, since others follow; images are normalised as for `weights`.

    Raises:
        InputError: If timm does not know the name, or the weights are unavailable or do not fit.
    """
    start = "" if empty else weights
    problems = check_target(name, start)
    if problems and not has_copy(name, start):
        raise InputError("target", problems)
    try:
        network = create_network(name, start, image_px=image_px, num_classes=num_classes)
    except UNUSABLE as error:
        which = f"of '{name}' are unavailable" if start == PRETRAINED else f"in {start} cannot be loaded into '{name}'"
        raise InputError("target", f"the weights {which}: {reason_of(error)}") from error
    use_fast_layers(network)
    statistics = InputSpec.from_timm(network.pretrained_cfg) if weights else InputSpec(image_px, MEAN, STD)
    return Target(network, replace(statistics, size_px=image_px)).to(memory_format=torch.channels_last)


def save_target(target: Target, folder: Path) -> None:
    """Write a target's weights, with a digest of them, to `WEIGHTS_FILE` in an existing folder."""
    weights = {name: value.cpu().contiguous() for name, value in target.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={SHA256: _digest(weights)})


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights that `save_target` wrote; a file without a digest is accepted.

    Raises:
        DamagedWeights: If it holds others, or is no such file.
        OSError: If it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(SHA256)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise DamagedWeights(f"{path} is damaged: {error}") from error
    if expected not in (None, _digest(weights)):
        raise DamagedWeights(f"{path} is damaged: its checksum does not match")
    return weights


def _digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors with their names, types and shapes."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
