"""Measure how fast a frozen foundation runs without gradients: in torch, compiled, and in two inference engines.

Run:    python benchmarks/foundation_speed.py
        (OpenVINO takes part if it can be imported; it is not a dependency)
Cost:   9 minutes on an otherwise idle machine.
Result: results/foundation_speed.json and .md.

One thread runs batches of 16 random images through five networks with random weights. A speed is the best of several
rounds, as images per second and as a fraction of the same core's speed in a product of two 2,048 x 2,048 matrices. The
features of each engine are compared with those of plain torch in fp32: `error` is the largest difference, relative to
the largest feature. `prepare` is the time before the first batch.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
import typer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.models.foundation import Foundation, load_foundation
from tdmr_ray.models.names import RANDOM
from tdmr_ray.report.statistics import Estimate

NAME = "foundation_speed"
NETWORKS = {
    "vit_small_patch14_dinov2": 98,
    "vit_base_patch16_224": 224,
    "convnext_tiny": 96,
    "resnet50": 98,
    "tf_efficientnet_lite2": 98,
}
BATCH, MATRIX, MIN_S, ROUNDS = 16, 2048, 0.5, 3
REFERENCE = "torch"

Features = Callable[[Tensor], Tensor]


class _Features(nn.Module):
    """The exported graph: images in 0..1 to features."""

    def __init__(self, foundation: Foundation) -> None:
        super().__init__()
        self.foundation = foundation

    def forward(self, images: Tensor) -> Tensor:
        return self.foundation.features(images)


def plain(foundation: Foundation, example: Tensor) -> Features:
    """Run torch with the default memory format."""
    foundation.to(memory_format=torch.contiguous_format)
    return foundation.features


def channels_last(foundation: Foundation, example: Tensor) -> Features:
    """Run torch with channels last."""
    foundation.to(memory_format=torch.channels_last)
    return foundation.features


def bf16(foundation: Foundation, example: Tensor) -> Features:
    """Run torch in mixed precision."""
    foundation.to(memory_format=torch.channels_last)

    def run(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return foundation.features(images).float()

    return run


def compiled(foundation: Foundation, example: Tensor) -> Features:
    """Compile with torch's inductor."""
    foundation.to(memory_format=torch.channels_last)
    torch.compiler.reset()  # otherwise sizes that differ between networks become symbols, and this takes for ever
    return torch.compile(foundation.features, dynamic=False)


def onnx_runtime(foundation: Foundation, example: Tensor) -> Features:
    """Export to ONNX and run onnxruntime."""
    import onnxruntime

    foundation.to(memory_format=torch.contiguous_format)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with TemporaryDirectory() as folder:
        path = f"{folder}/features.onnx"
        names: dict[str, Any] = {"input_names": ["images"], "output_names": ["features"], "verbose": False}
        torch.onnx.export(_Features(foundation), (example,), path, dynamo=True, external_data=False, **names)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def openvino(foundation: Foundation, example: Tensor) -> Features:
    """Convert to OpenVINO and run it in fp32."""
    import openvino  # type: ignore[import-not-found]

    foundation.to(memory_format=torch.contiguous_format)
    graph = openvino.convert_model(_Features(foundation), example_input=example)
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    network = openvino.compile_model(graph, "CPU", options)
    return lambda images: torch.from_numpy(network(images.numpy())[0])


ENGINES: dict[str, Callable[[Foundation, Tensor], Features]] = {
    REFERENCE: plain,
    "channels_last": channels_last,
    "bf16": bf16,
    "compiled": compiled,
    "onnxruntime": onnx_runtime,
    "openvino": openvino,
}


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds of a call, the best of several rounds after a first call."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        count, started = 0, perf_counter()
        while perf_counter() - started < MIN_S:
            work()
            count += 1
        best = min(best, (perf_counter() - started) / count)
    return best


def gemm_peak() -> float:
    """Return floating-point operations per second of a large product of matrices."""
    a, b = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    return 2 * MATRIX**3 / seconds_of(lambda: a @ b)


def flops_per_image(foundation: Foundation, example: Tensor) -> float:
    """Return the floating-point operations of products and convolutions for an image."""
    with FlopCounterMode(display=False) as counter:
        foundation.features(example)
    return counter.get_total_flops() / len(example)


def measure(name: str, px: int, peak: float) -> tuple[list[str], dict[str, float]]:
    """Return table rows and figures of a network in all engines."""
    foundation = load_foundation(name, weights=RANDOM, image_px=px)
    images = torch.rand(BATCH, 3, px, px)
    flops, expected = flops_per_image(foundation, images), foundation.features(images)
    lines, figures = [], {}
    for engine, prepare in ENGINES.items():
        started = perf_counter()
        try:
            run = prepare(foundation, images)
            got = run(images)
        except ImportError:
            continue
        prepare_s = perf_counter() - started
        error = float((got - expected).abs().max() / expected.abs().max())
        speed = BATCH / seconds_of(lambda run=run: run(images))
        fraction = speed * flops / peak
        figures |= {f"images_per_s_{name}_{engine}": speed, f"fraction_of_gemm_peak_{name}_{engine}": fraction}
        figures[f"prepare_s_{name}_{engine}"] = prepare_s
        lines.append(f"| {name} | {px} | {engine} | {speed:.1f} | {fraction:.2f} | {error:.0e} | {prepare_s:.1f} |")
        print(lines[-1], flush=True)
    return lines, figures


@torch.no_grad()
def main() -> None:
    """Measure, print and keep the figures."""
    torch.set_num_threads(1)
    peak = gemm_peak()
    lines = ["| network | px | engine | images/s | fraction of GEMM peak | error | prepare, s |"]
    lines.append("|---|--:|---|--:|--:|--:|--:|")
    figures: dict[str, float | Estimate] = {"gemm_peak_gflops": peak / 1e9}
    for name, px in NETWORKS.items():
        rows, found = measure(name, px, peak)
        lines += rows
        figures |= found
    first = next(iter(NETWORKS))
    figures["fraction_of_gemm_peak"] = figures[f"fraction_of_gemm_peak_{first}_{REFERENCE}"]
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
