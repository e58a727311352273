"""Images per second of frozen teachers, alone and through `compute_features`."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.clock import seconds_of, watched_seconds_per_call
from benchmarks.gpu.material import make_task
from benchmarks.gpu.recorder import Recorder, or_unknown
from benchmarks.gpu.sizes import Sizes
from tdmr_ray.models import Foundation
from tdmr_ray.training.config import Precision, TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.features import compute_features, num_feature_views, with_ids
from tdmr_ray.training.networks import InPrecision, resident_foundation
from tdmr_ray.training.sections import FoundationConfig

MODES: tuple[tuple[str, Precision, str, bool], ...] = (
    ("fp32", "fp32", "highest", False),
    ("tf32", "fp32", "high", False),
    ("bf16", "bf16", "highest", False),
    ("bf16_compiled", "bf16", "highest", True),
)
"""Name, precision of the forward pass, precision of fp32 products, and whether it is compiled."""


def part_of(name: str, sizes: Sizes) -> FoundationConfig:
    """Return the configuration of a foundation with random weights."""
    return FoundationConfig(name=name, weights="random", image_px=sizes.px)


@torch.no_grad()
def count_flops(run: Callable[[Tensor], object], px: int, device: torch.device) -> int:
    """Return the floating point operations of one image; a multiplication and an addition are two."""
    image = torch.zeros(1, 3, px, px, device=device)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run(image)
    return int(counter.get_total_flops())


def measure(recorder: Recorder, sizes: Sizes) -> None:
    """Measure each teacher in each mode, compiled ones last because they take longest to start."""
    for mode, precision, products, compiled in MODES:
        if mode == "tf32" and not torch.cuda.is_available():
            recorder.note("tf32 needs a GPU")
            continue
        torch.set_float32_matmul_precision(products)
        for name in sizes.teachers:
            with recorder.attempt(f"{name}, {mode}"):
                measure_network(recorder, sizes, name, mode, precision, compiled)


@torch.no_grad()
def measure_network(
    recorder: Recorder, sizes: Sizes, name: str, mode: str, precision: Precision, compiled: bool
) -> None:
    """Measure one teacher on a batch that lies on the card; in bf16 also the features that a search makes with it."""
    foundation: Foundation = resident_foundation(part_of(name, sizes))
    network = InPrecision(foundation, precision)
    run = torch.compile(network.features, backend=sizes.backend) if compiled else network.features
    images = torch.rand(sizes.teacher_batch, 3, sizes.px, sizes.px, device=pick_device())
    start_s = seconds_of(lambda: run(images))
    seconds, utilisation = watched_seconds_per_call(lambda: run(images), sizes.seconds)
    per_s = len(images) / seconds
    tflops = per_s * count_flops(foundation.features, sizes.px, pick_device()) / 1e12
    share = recorder.share_of_gemm_peak(tflops, mode.removesuffix("_compiled"))
    recorder.figure(f"teacher_images_per_s_{name}_{mode}", per_s)
    if share is not None:
        recorder.figure(f"teacher_fraction_of_gemm_peak_{name}_{mode}", share)
    recorder.row(
        teacher=name,
        mode=mode,
        images_per_s=per_s,
        TFLOP_per_s=tflops,
        share_of_GEMM_peak=or_unknown(share),
        utilisation_percent=or_unknown(utilisation),
        first_call_s=start_s,
    )
    if mode == "bf16":
        measure_features(recorder, sizes, name, per_s)


def measure_features(recorder: Recorder, sizes: Sizes, name: str, alone_per_s: float) -> None:
    """Measure the features of images and views as a search makes them: views, transfers and rounding included."""
    config = TrialConfig(foundation=part_of(name, sizes), precision="bf16")
    task = with_ids(make_task(sizes))
    seconds = seconds_of(lambda: compute_features(config, task))
    per_s = (1 + num_feature_views(config)) * (len(task.train) + len(task.val)) / seconds
    recorder.figure(f"features_images_per_s_{name}", per_s)
    recorder.row(features=name, mode="bf16", images_per_s=per_s, share_of_network_alone=per_s / alone_per_s)
