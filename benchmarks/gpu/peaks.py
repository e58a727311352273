"""Peaks of the card: matrix products and copies."""

import torch

from benchmarks.gpu.clock import seconds_per_call
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.sizes import Sizes
from tdmr_ray.training.device import pick_device


def measure(recorder: Recorder, sizes: Sizes) -> None:
    """Measure square GEMMs by precision, and a copy within the card's memory."""
    device = pick_device()
    for name, dtype in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        if name == "tf32" and device.type != "cuda":
            continue
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        left, right = (torch.randn(sizes.gemm, sizes.gemm, device=device, dtype=dtype) for _ in range(2))
        out = torch.empty_like(left)
        seconds = seconds_per_call(lambda a=left, b=right, c=out: torch.mm(a, b, out=c), sizes.seconds)  # type: ignore[misc]
        tflops = 2 * sizes.gemm**3 / seconds / 1e12
        recorder.figure(f"gemm_tflops_{name}", tflops)
        recorder.row(peak=f"GEMM {sizes.gemm}, {name}", value=tflops, unit="TFLOP/s")
    source = torch.ones(sizes.copy_bytes, dtype=torch.uint8, device=device)
    goal = torch.empty_like(source)
    seconds = seconds_per_call(lambda: goal.copy_(source), sizes.seconds)
    recorder.figure("copy_gb_per_s", 2 * sizes.copy_bytes / seconds / 1e9)
    recorder.row(peak="copy, read and written", value=2 * sizes.copy_bytes / seconds / 1e9, unit="GB/s")
    host = torch.ones(min(sizes.copy_bytes, 2**28), dtype=torch.uint8)
    seconds = seconds_per_call(lambda: host.to(device, copy=True), sizes.seconds)
    recorder.figure("upload_gb_per_s", len(host) / seconds / 1e9)
    recorder.row(peak="upload from pageable memory", value=len(host) / seconds / 1e9, unit="GB/s")
