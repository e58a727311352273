"""Fast layers: the same results, parameters and gradients as those of torch and timm."""

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from tdmr_ray.models import load_target
from tdmr_ray.models.fast_layers import SmallMapConv2d, SymmetricConv2dSame, use_fast_layers

FAST = [
    {"kernel_size": 5, "padding": 2, "groups": 6},
    {"kernel_size": 3, "padding": 1, "groups": 6, "bias": False},
    {"kernel_size": 3, "padding": 1, "stride": 2, "groups": 6},
    {"kernel_size": 1},
    {"kernel_size": 1, "stride": 2, "bias": False},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 2, "padding": 1, "stride": 2},
]
PLAIN = [
    {"kernel_size": 2, "padding": 1},
    {"kernel_size": 1, "padding": 1, "stride": 3},
    {"kernel_size": 3, "padding": "same"},
    {"kernel_size": 3, "padding": 2, "dilation": 2},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": 3, "padding": 1, "groups": 2},
]


def check_replacement(plain: nn.Module, kind: type[nn.Module], side: int) -> None:
    """The fast layer is of a kind and has the outputs and gradients of the plain one."""
    fast = copy.deepcopy(plain.double())
    use_fast_layers(fast)
    assert type(fast) is kind
    images = torch.randn(3, 6, side, side, dtype=torch.float64)
    torch.testing.assert_close(fast(images), plain(images))
    for module in (plain, fast):
        module(images).square().sum().backward()
    for parameter, other in zip(fast.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad)


@pytest.mark.parametrize("options", [*FAST, *PLAIN], ids=str)
@pytest.mark.parametrize("side", [1, 2, 5])
def test_same_as_torch(options: dict[str, object], side: int) -> None:
    check_replacement(nn.Conv2d(6, 6, **options), SmallMapConv2d, side)  # type: ignore[arg-type]


@pytest.mark.parametrize(("options", "fast"), [*((each, True) for each in FAST), *((each, False) for each in PLAIN)])
def test_which_are_fast(options: dict[str, object], fast: bool) -> None:
    assert SmallMapConv2d(6, 6, **options).one_weight_counts is fast  # type: ignore[arg-type]


def test_a_targets_parameters_keep_their_names_and_values() -> None:
    torch.manual_seed(0)
    target = load_target("mobilenetv3_small_050", num_classes=3, image_px=32).eval()
    assert any(isinstance(module, SmallMapConv2d) for module in target.modules())
    plain = copy.deepcopy(target)
    for module in plain.modules():
        if type(module) is SmallMapConv2d:
            module.__class__ = nn.Conv2d
    assert plain.state_dict().keys() == target.state_dict().keys()
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(target(images).logits, plain(images).logits)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 5, "stride": 2, "groups": 6},
        {"kernel_size": (3, 5), "bias": False},
        {"kernel_size": 3, "dilation": 2},
        {"kernel_size": 1, "stride": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [1, 4, 7])
def test_tensorflows_padding_is_the_same(options: dict[str, object], side: int) -> None:
    check_replacement(Conv2dSame(6, 6, **options), SymmetricConv2dSame, side)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv3_small_050", "efficientnet_b0"])
def test_only_relu_works_in_place(name: str) -> None:
    target = load_target(name, num_classes=3, image_px=32)
    in_place = {type(module) for module in target.modules() if getattr(module, "inplace", False)}
    assert in_place <= {nn.ReLU}
