"""Pretrained networks of this process: foundations that stay in memory, and hashes of weights."""

import hashlib
from functools import cache

from torch import Tensor, nn

from tdmr_ray.method.teacher import SourceNetwork
from tdmr_ray.models import Foundation, load_foundation
from tdmr_ray.models.committee import Committee
from tdmr_ray.models.onnx_features import OnnxFeatures, export_features
from tdmr_ray.models.weights import create_network
from tdmr_ray.training.config import Precision
from tdmr_ray.training.device import autocast, pick_device
from tdmr_ray.training.sections import FoundationConfig


class InPrecision:
    """A foundation that runs in a precision and returns fp32, so that prompt and mapping stay in fp32."""

    def __init__(self, foundation: SourceNetwork, precision: Precision) -> None:
        self.foundation, self.precision = foundation, precision

    def features(self, images: Tensor, tokens: Tensor | None = None) -> Tensor:
        """Map images [B, 3, S, S] in 0..1 to features [B, d]."""
        with autocast(self.precision, images.device):
            return self.foundation.features(images, tokens).float()

    def source_logits(self, features: Tensor) -> Tensor:
        """Map features [B, d] to source logits [B, S]."""
        with autocast(self.precision, features.device):
            return self.foundation.source_logits(features).float()


@cache
def resident_foundation(part: FoundationConfig) -> Foundation:
    """Load a foundation that stays in memory, on the device, for every trial of this process."""
    if part.members:
        return Committee([resident_foundation(member) for member in part.members])
    return load_foundation(part.name, weights=part.weights, image_px=part.image_px).to(pick_device())


@cache
def resident_export(part: FoundationConfig) -> OnnxFeatures | None:
    """Export a foundation for every trial of this process; see `export_features`."""
    return export_features(resident_foundation(part))


@cache
def foundation_digest(part: FoundationConfig) -> str:
    """Return the SHA-256 of a foundation's weights, without keeping it in memory; of each member of a committee."""
    if part.members:
        return "+".join(foundation_digest(member) for member in part.members)
    return digest_of(load_foundation(part.name, weights=part.weights, image_px=part.image_px))


@cache
def start_digest(name: str, weights: str) -> str:
    """Return the SHA-256 of a target's initial weights, their classifier included; '' for random ones."""
    return digest_of(create_network(name, weights)) if weights else ""


def digest_of(network: nn.Module) -> str:
    """Return the SHA-256 of a network's weights."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
