"""The small network that is shipped."""

from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tdmr_ray.errors import InputError
from tdmr_ray.models.names import check_target
from tdmr_ray.models.small_maps import use_small_map_convolutions
from tdmr_ray.models.spec import InputSpec

WEIGHTS_FILE = "target.safetensors"
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class TargetOutput(NamedTuple):
    """Penultimate features [B, d] and task-class logits [B, C]."""

    features: Tensor
    logits: Tensor


class Target(nn.Module):
    """A timm network with a head for the task classes.

    Args:
        network: A timm network with C outputs.
        spec: What it expects; normalisation happens in here.
    """

    network: Any

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.feature_dim = int(self.network.get_classifier().in_features)

    def forward(self, images: Tensor, detach_head: bool = False) -> TargetOutput:
        """Features and logits of images in 0..1, [B, 3, H, W].

        Args:
            images: In 0..1.
            detach_head: Keep the gradients of the logits from reaching the features.
        """
        network = self.network
        maps = network.forward_features(self.spec.normalize(images))
        features: Tensor = network.forward_head(maps, pre_logits=True)
        logits: Tensor = network.get_classifier()(features.detach() if detach_head else features)
        return TargetOutput(features, logits)


def load_target(name: str, *, num_classes: int, image_px: int, pretrained: bool = False, empty: bool = False) -> Target:
    """Build a target for `num_classes` task classes, with random weights unless `pretrained`.

    If it is to be `empty`, timm's are not fetched, since others are loaded next; images are normalised as without.

    Random weights follow torch's global seed. `channels_last` is the memory format: 1.5 times faster on CPUs for the
    depthwise convolutions of mobile networks.

    Raises:
        InputError: If timm does not know the name, or its weights cannot be had.
    """
    problems = check_target(name)
    if problems:
        raise InputError("target", problems)
    try:
        network: Any = timm.create_model(name, pretrained=pretrained and not empty, num_classes=num_classes)
    except (OSError, RuntimeError) as error:
        raise InputError("target", f"the weights of '{name}' cannot be had: {str(error).splitlines()[0]}") from error
    use_small_map_convolutions(network)
    spec = InputSpec.from_timm(network.pretrained_cfg) if pretrained else InputSpec(image_px, MEAN, STD)
    return Target(network, spec).to(memory_format=torch.channels_last)


def save_target(target: Target, folder: Path) -> None:
    """Write a target's weights as `WEIGHTS_FILE` into an existing folder."""
    weights = {name: value.cpu().contiguous() for name, value in target.state_dict().items()}
    save_file(weights, folder / WEIGHTS_FILE)
