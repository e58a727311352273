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
from torch.nn.utils.parametrize import cached, is_parametrized, register_parametrization, remove_parametrizations
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
    """Rounds weights to -127 .. 127, with a scale for each output channel.

    What is trained is a weight in steps of int8, as they were at first. Folding batch norm leaves channels whose
    weights differ by orders of magnitude, and Adam moves all of them alike.
    """

    step: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("step", _steps(weight.detach()))

    def forward(self, weight: Tensor) -> Tensor:
        """Map weights in steps [D, ...] to rounded weights [D, ...]."""
        found = weight * _for_channels(self.step, weight)
        zeros = torch.zeros_like(self.step, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(found, _steps(found.detach()), zeros, 0, -127, 127)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Map weights to weights in steps."""
        return weight / _for_channels(self.step, weight)


class ScaledBias(nn.Module):
    """A bias in steps of 1/127 of the largest of its layer, so that it is trained as fast as the weights."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.step = max(float(bias.detach().abs().amax()) / 127, SMALLEST_SCALE)

    def forward(self, bias: Tensor) -> Tensor:
        """Map a bias in steps [D] to a bias [D]."""
        return bias * self.step

    def right_inverse(self, bias: Tensor) -> Tensor:
        """Map a bias to a bias in steps."""
        return bias / self.step


def _steps(weight: Tensor) -> Tensor:
    """Return the scale of each channel [D] of weights [D, ...]."""
    return (weight.flatten(1).abs().amax(dim=1) / 127).clamp(min=SMALLEST_SCALE)


def _for_channels(values: Tensor, weight: Tensor) -> Tensor:
    return values.view(-1, *[1] * (weight.dim() - 1))


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
        with cached():
            for layer in _with_weights(network):
                _ = layer.weight, layer.bias  # what rounds weights must not be taken for layers
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


def round_weights(network: nn.Module) -> list[nn.Parameter]:
    """Let all convolutions and linear layers round their weights, in place; see `keep_rounded`.

    Returns:
        Their weights and biases in steps, to be trained.
    """
    found: list[nn.Parameter] = []
    for layer in _with_weights(network):
        register_parametrization(layer, "weight", RoundedWeight(layer.weight))
        if layer.bias is not None:
            register_parametrization(layer, "bias", ScaledBias(layer.bias))
        found.extend(layer.parameters())
    return found


def keep_rounded(network: nn.Module) -> None:
    """Undo `round_weights` in place; the weights stay rounded."""
    for layer in _with_weights(network):
        for name in ("weight", "bias"):
            if is_parametrized(layer, name):
                remove_parametrizations(layer, name)


def _with_weights(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


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
