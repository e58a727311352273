"""Measure memory and speed of a foundation on a CPU by the number of images that pass it at a time.

Run:    python benchmarks/images_at_once.py WEIGHTS     (EfficientNet-Lite2's, from `real_assets.sh`)
Cost:   four minutes.
Result: results/images_at_once.json and .md.

Each figure comes from a process of its own, on one core: 256 images, after a warm-up with the first ones, with freed
memory kept as in a trial. Memory is the growth of the process's peak over the loaded network.
"""

import resource
import subprocess
import sys
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Annotated

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.models import at_once, load_foundation
from tdmr_ray.models.onnx_features import OnnxFeatures
from tdmr_ray.training.memory import reuse_freed_memory

NAME, NETWORK, IMAGES = "images_at_once", "tf_efficientnet_lite2", 256
SIDES, COUNTS = (64, 224), (1, 5, 20, 64, 256)


def peak_bytes() -> int:
    """Return the largest size that this process has had, on Linux."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@torch.no_grad()
def measure(weights: str, engine: str, size_px: int, count: int) -> tuple[float, float]:
    """Return milliseconds an image, and gigabytes."""
    torch.set_num_threads(1)
    reuse_freed_memory()
    at_once.CPU_PIXELS = count * size_px**2
    foundation = load_foundation(NETWORK, weights=weights, image_px=size_px)
    run = OnnxFeatures(foundation) if engine == "onnx" else foundation.features
    images = torch.rand(IMAGES, 3, size_px, size_px)
    before = peak_bytes()
    run(images[:count])
    started = perf_counter()
    run(images)
    return 1000 * (perf_counter() - started) / IMAGES, (peak_bytes() - before) / 1e9


def main(
    weights: Annotated[str, typer.Argument(help="EfficientNet-Lite2's weights")],
    one: Annotated[str, typer.Option(hidden=True, help="ENGINE:PX:COUNT, for a process of its own")] = "",
) -> None:
    """Measure every engine and number of images."""
    if one:
        engine, *numbers = one.split(":")
        print(*measure(weights, engine, *map(int, numbers)))
        return
    figures: dict[str, float] = {}
    lines = [f"{NETWORK}, {IMAGES} images, one core.", ""]
    lines += ["| engine | side | images at a time | ms an image | GB |", "|---|--:|--:|--:|--:|"]
    for engine, size_px, count in product(("onnx", "torch"), SIDES, COUNTS):
        command = [sys.executable, __file__, weights, "--one", f"{engine}:{size_px}:{count}"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        ms, gigabytes = map(float, done.stdout.split()[-2:])
        figures |= {f"{engine}.{size_px}.{count}.ms": ms, f"{engine}.{size_px}.{count}.gb": gigabytes}
        lines.append(f"| {engine} | {size_px} px | {count} | {ms:.1f} | {gigabytes:.2f} |")
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
