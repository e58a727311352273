"""Grad-CAM: the parts of an image that speak for a class."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tdmr_ray.method.resize import resize
from tdmr_ray.models import Target

MIN_SIDE = 4
"""Least height and width of a feature map that shows a place."""


def grad_cam(target: Target, images: Tensor, classes: Tensor) -> Tensor | None:
    """Return heat maps in 0..1, [B, H, W]; None for a network without convolutional feature maps.

    heat = relu(sum over channels of (mean gradient of the class's logit) * map), on the last map that is at least
    `MIN_SIDE` high and wide.

    Args:
        target: The network, in evaluation mode.
        images: [B, 3, H, W] in 0..1.
        classes: Class of each image that is explained, [B].

    Source: Selvaraju et al. 2017, arXiv 1610.02391.
    """
    layer = _last_map(target, images[:1])
    if layer is None:
        return None
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    try:
        with torch.enable_grad():
            logits = target(images.detach().clone().requires_grad_()).logits
            (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), kept[-1])
    finally:
        handle.remove()
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * kept[-1].detach()).sum(dim=1, keepdim=True).relu()
    heat = heat / heat.amax(dim=(2, 3), keepdim=True).clamp(min=1e-12)
    return interpolate(heat, size=images.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


@torch.no_grad()
def _last_map(target: Target, image: Tensor) -> nn.Module | None:
    """Return the last module of a convolutional network whose output is a large enough map; None if there is none.

    Transformers and mixers return tokens or channels-last maps from `forward_features`, and have none.
    """
    found: list[nn.Module] = []

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and _is_map(output) and output.shape[-1] >= MIN_SIDE:
            found.append(module)

    handles = [module.register_forward_hook(note) for module in target.network.modules()]
    try:
        maps = target.network.forward_features(target.spec.normalize(resize(image, target.spec.size_px)))
    finally:
        for handle in handles:
            handle.remove()
    return found[-1] if found and _is_map(maps) else None


def _is_map(output: Tensor) -> bool:
    return output.ndim == 4 and output.shape[-1] == output.shape[-2]
