"""The three small foundations, as configurations of timm's classes for 32 x 32 images.

Each one starts with a stride of 2 px and ends at a 4 x 4 or 2 x 2 map: every prompt step runs forward and backward
through the network, and its cost grows with the number of positions.
"""

from functools import partial
from typing import Literal

from timm.layers.hybrid_embed import HybridEmbed
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from tdmr_ray.data.distort import IMAGE_SIZE_PX

Kind = Literal["vit", "cnn", "hybrid"]


def build_glyph_network(kind: Kind, num_classes: int) -> nn.Module:
    """Build a network with random weights and timm's interface (`forward_features`, `forward_head`, `num_features`).

    Raises:
        ValueError: If the kind is unknown.
    """
    builders = {"vit": _build_vit, "cnn": _build_cnn, "hybrid": _build_hybrid}
    if kind not in builders:
        raise ValueError(f"kind must be one of {sorted(builders)}, but got {kind!r}")
    return builders[kind](num_classes)


def _build_cnn(num_classes: int) -> nn.Module:
    """Build a ResNet of basic blocks, one block a stage: 16, 8, 4 and 2 px."""
    return _build_residual((24, 64, 128, 256), num_classes=num_classes)


def _build_hybrid(num_classes: int) -> nn.Module:
    """Build residual stages down to 4 x 4, then a transformer over the 16 positions."""
    residual = _build_residual((24, 48, 96))
    residual.head = nn.Identity()  # type: ignore[assignment]
    return _build_transformer(residual, num_classes, patch_size=1, dim=128, depth=2, heads=4)


def _build_vit(num_classes: int) -> nn.Module:
    """Build a transformer over 4 x 4 patches of a two-convolution stem's 16 x 16 map."""
    stem = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.Conv2d(16, 24, 3, padding=1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(inplace=True),
    )
    return _build_transformer(stem, num_classes, patch_size=4, dim=128, depth=4, heads=4)


def _build_residual(channels: tuple[int, ...], num_classes: int = 0) -> ByobNet:
    strides = (1,) + (2,) * (len(channels) - 1)
    blocks = tuple(ByoBlockCfg("basic", d=1, c=c, s=s) for c, s in zip(channels, strides, strict=True))
    config = ByoModelCfg(blocks=blocks, stem_type="3x3", stem_pool="", stem_chs=channels[0])
    return ByobNet(config, num_classes=num_classes)


def _build_transformer(
    stem: nn.Module, num_classes: int, *, patch_size: int, dim: int, depth: int, heads: int
) -> VisionTransformer:
    return VisionTransformer(
        img_size=IMAGE_SIZE_PX,
        patch_size=patch_size,
        embed_layer=partial(HybridEmbed, backbone=stem),
        num_classes=num_classes,
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        class_token=False,
        global_pool="avg",
    )
