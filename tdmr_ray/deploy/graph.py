"""The network as a device runs it: pixels in, calibrated probabilities out, nothing left to do around it."""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.models.fast_layers import use_plain_convolutions


class DeployedGraph(nn.Module):
    """Preprocessing, network, temperature and softmax in one graph.

    Scaling to the target's input size is linear and separable, so two matrix products do it on every runtime.
    """

    scaling: Tensor | None

    def __init__(self, model: SmallModel) -> None:
        super().__init__()
        self.target, self.temperature = deepcopy(model.target), model.temperature
        use_plain_convolutions(self.target)
        self.read_px, input_px = model.input_format.size_px, model.target.spec.size_px
        same = self.read_px == input_px
        self.register_buffer("scaling", None if same else scaling_matrix(self.read_px, input_px))
        self.to(memory_format=torch.contiguous_format)  # converters know no other

    def forward(self, images: Tensor) -> Tensor:
        """Map RGB pixels 0 .. 255 [B, px, px, 3] of any number type to probabilities [B, C]."""
        return self.from_planes(images.permute(0, 3, 1, 2))

    def from_planes(self, images: Tensor) -> Tensor:
        """Map RGB pixels 0 .. 255 [B, 3, px, px] to probabilities [B, C]."""
        unit = images.float() / 255.0
        if self.scaling is not None:
            unit = self.scaling @ unit @ self.scaling.T
        probabilities: Tensor = (self.target(unit).logits / self.temperature).softmax(dim=1)
        return probabilities

    def example(self, batch: int = 1) -> Tensor:
        """Return black images of the size that the graph takes, uint8 [batch, px, px, 3]."""
        return torch.zeros(batch, self.read_px, self.read_px, 3, dtype=torch.uint8)


class Planes(nn.Module):
    """The same graph for RGB pixels 0 .. 255 [B, 3, px, px]."""

    def __init__(self, graph: DeployedGraph) -> None:
        super().__init__()
        self.deployed = graph

    def forward(self, images: Tensor) -> Tensor:
        """Map pixels to probabilities [B, C]."""
        return self.deployed.from_planes(images)


def scaling_matrix(from_px: int, to_px: int) -> Tensor:
    """Return the matrix [to_px, from_px] that scales one side of an image as `method.resize` does."""
    identity = torch.eye(from_px)[None, None]
    return interpolate(identity, size=(to_px, from_px), mode="bilinear", align_corners=False, antialias=True)[0, 0]
