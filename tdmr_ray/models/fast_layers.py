"""Layers of mobile networks with the same parameters and results as torch's and timm's, but faster to train."""

from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

IN_PLACE = (nn.Hardtanh, nn.Hardswish, nn.SiLU, nn.Hardsigmoid, nn.Mish)
"""Activations that compute their gradient from their input; `nn.ReLU6` is a `nn.Hardtanh`."""


def use_fast_layers(network: nn.Module) -> None:
    """Replace layers by faster ones, in place; parameters do not change.

    An activation in place saves no time while training: all but ReLU need their input for the gradient, so that torch
    copies it first.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = SmallMapConv2d
        elif type(module) is Conv2dSame:
            module.__class__ = SymmetricConv2dSame
        elif isinstance(module, IN_PLACE):
            module.inplace = False


def use_plain_convolutions(network: nn.Module) -> None:
    """Undo `SmallMapConv2d`, in place: converters fold and quantise convolutions better than what stands for them."""
    for module in network.modules():
        if type(module) is SmallMapConv2d:
            module.__class__ = nn.Conv2d  # type: ignore[assignment]  # back to the class that it had


class SmallMapConv2d(nn.Conv2d):
    """A convolution that computes 1x1 maps as products if it is dense or depthwise.

    Small images leave mobile networks with 1x1 maps halfway down. Only one weight of a 5x5 kernel matters there, but a
    CPU's depthwise convolution reads all of them: a fifth of a training step of mobilenetv3_small_050 at 32 px.
    """

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H', W']."""
        if input.shape[-2:] != (1, 1) or not self.one_weight_counts:
            return super().forward(input)
        row, column = (int(side) for side in self.padding)
        weight = self.weight[:, :, row, column]
        if self.groups == 1:
            return linear(input.flatten(1), weight, self.bias)[:, :, None, None]
        product = input * weight.view(1, -1, 1, 1)
        return product if self.bias is None else product + self.bias.view(1, -1, 1, 1)

    @property
    def one_weight_counts(self) -> bool:
        """Whether a 1x1 map becomes a 1x1 map that depends only on the weight at (padding, padding)."""
        if isinstance(self.padding, str) or self.padding_mode != "zeros" or self.dilation != (1, 1):
            return False
        sides = zip(self.padding, self.kernel_size, self.stride, strict=True)
        fits = all(padding < size <= 2 * padding + 1 < size + stride for padding, size, stride in sides)
        return fits and (self.groups == 1 or self.groups == self.in_channels == self.out_channels)


class SymmetricConv2dSame(Conv2dSame):
    """TensorFlow's padding, left to the convolution itself where both sides get the same.

    timm pads first, which copies the map, and its gradient, once more.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, D, H', W']."""
        sides = zip(x.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
        pads = [get_same_padding(*side) for side in sides]
        if any(pad % 2 for pad in pads):
            padded: Tensor = super().forward(x)
            return padded
        padding = [pad // 2 for pad in pads]
        return conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
