"""Fake quantisation: a network computes with the rounding of its int8 file, and still has gradients.

Source: Jacob et al. 2018, arXiv 1712.05877. Gradients pass the rounding unchanged, as in Bengio et al. 2013,
arXiv 1308.3432.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import register_parametrization, remove_parametrizations
from torch.overrides import TorchFunctionMode

WITH_WEIGHTS = ("conv2d", "linear")
JOINED = ("relu", "relu6", "hardtanh")
"""Activations that int8 runtimes compute together with the layer before, so that its output is not rounded."""
OTHERS = ("hardswish", "hardsigmoid", "silu", "sigmoid", "gelu", "add", "iadd", "mul", "imul", "mean", "matmul", "cat")
POOLING = ("adaptive_avg_pool2d", "avg_pool2d", "max_pool2d")
ROUNDED = frozenset((*WITH_WEIGHTS, *JOINED, *OTHERS, *POOLING, "batch_norm", "layer_norm"))
"""Functions whose outputs are rounded, by the names of torch without underscores around them."""
SMALLEST_SCALE = 1e-8


class RoundedWeight(nn.Module):
    """Rounds weights to -127 .. 127, with a scale for each output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        """[D, ...] to [D, ...]."""
        largest = weight.detach().flatten(1).abs().amax(dim=1)
        scale = (largest / 127).clamp(min=SMALLEST_SCALE)
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -127, 127)


class RoundedActivations(TorchFunctionMode):
    """Rounds the outputs of all layers to 0 .. 255, with one scale for each tensor.

    A network without branches that depend on data calls the same functions in the same order each time, so that the
    number of a call identifies a tensor.

    Attributes:
        ranges: Smallest and largest value of each tensor that was observed.
        unrounded: Numbers of tensors that runtimes never hold in memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[tuple[float, float]] = []
        self.unrounded: set[int] = set()
        self._observed: list[Tensor] | None = None
        self._number = 0

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Forget the ranges, and take those of all images that the network sees meanwhile; nothing is rounded."""
        self.ranges = []
        self._observed = []
        try:
            yield
        finally:
            self._observed = None

    def run(self, network: nn.Module, images: Tensor) -> Any:
        """Run a network."""
        self._number = 0
        if self._observed is not None:
            self._observed = []
        with self:
            return network(images)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch and round what it returns."""
        name = getattr(func, "__name__", "").strip("_")
        if name not in ROUNDED:
            return func(*args, **(kwargs or {}))
        if self._number == 0 and name in WITH_WEIGHTS:  # the pixels
            args = (self._rounded(args[0]), *args[1:])
        if name in JOINED:
            self._join(args[0])
        return self._rounded(func(*args, **(kwargs or {})))

    def _join(self, source: Tensor) -> None:
        """Note that a tensor is only an intermediate value of a joined activation."""
        for number, tensor in enumerate(self._observed or ()):
            if tensor is source:
                self.unrounded.add(number)

    def _rounded(self, tensor: Tensor) -> Tensor:
        number = self._number
        self._number += 1
        if self._observed is not None:
            self._observed.append(tensor)
            self._widen(number, tensor)
            return tensor
        if number in self.unrounded:
            return tensor
        low, high = self.ranges[number]
        scale = max((high - low) / 255, SMALLEST_SCALE)
        return torch.fake_quantize_per_tensor_affine(tensor, scale, round(-low / scale), 0, 255)

    def _widen(self, number: int, tensor: Tensor) -> None:
        smallest, largest = (float(end) for end in tensor.aminmax())
        low, high = self.ranges[number] if number < len(self.ranges) else (0.0, 0.0)
        self.ranges[number : number + 1] = [(min(low, smallest), max(high, largest))]


@contextmanager
def rounded_weights(network: nn.Module) -> Iterator[None]:
    """Round the weights of all convolutions and linear layers; afterwards the network has its trained weights again."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer in layers:
        register_parametrization(layer, "weight", RoundedWeight())
    try:
        yield
    finally:
        for layer in layers:
            remove_parametrizations(layer, "weight", leave_parametrized=False)


@torch.no_grad()
def fold_batch_norm(network: nn.Module, images: Tensor) -> None:
    """Fold each batch norm into the convolution before it, in place, as converters do; the outputs stay the same.

    Args:
        network: A network in evaluation mode.
        images: A batch by which the order of the layers is found.
    """
    names = {layer: name for name, layer in network.named_modules()}
    for convolution, norm in _convolutions_with_norm(network, images):
        network.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, norm))
        rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]  # timm's BatchNormAct2d
        network.set_submodule(names[norm], nn.Sequential(*rest))


def _convolutions_with_norm(network: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    made: list[tuple[nn.Conv2d, Tensor]] = []
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            made.append((layer, output))
        elif isinstance(layer, nn.BatchNorm2d):
            pairs.extend((convolution, layer) for convolution, tensor in made if tensor is inputs[0])

    handles = [layer.register_forward_hook(note) for layer in network.modules()]
    try:
        network(images)
    finally:
        for handle in handles:
            handle.remove()
    return pairs
