"""Size and inference cost of a target."""

from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import torch
from torch.utils.flop_counter import FlopCounterMode

from tdmr_ray.checksums import checked_object
from tdmr_ray.models.target import load_target

Costs = dict[str, dict[str, float]]
"""Costs (`params`, `macs`, `latency_ms`, ...) by label of the target."""


@dataclass(frozen=True)
class TargetCost:
    """Size and speed of a target.

    Attributes:
        params: Number of parameters.
        macs: Multiply-accumulates for one image.
        latency_ms: Median latency of one image on this machine's CPU, one thread, after a warm-up.
        latency_p95_ms: 95th percentile of the latency.
    """

    params: int
    macs: int
    latency_ms: float
    latency_p95_ms: float

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name."""
        return asdict(self)


@torch.inference_mode()
def measure_target(name: str, *, num_classes: int, image_px: int, repeats: int = 50) -> TargetCost:
    """Build a target with random weights and measure it; cost does not depend on the weights."""
    with torch.random.fork_rng(devices=[]):
        target = load_target(name, num_classes=num_classes, image_px=image_px).eval()
    image = torch.rand(1, 3, image_px, image_px).to(memory_format=torch.channels_last)
    with FlopCounterMode(display=False) as counter:
        target(image)
    params = sum(parameter.numel() for parameter in target.parameters())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        times = [_seconds(target, image) for _ in range(repeats)][repeats // 5 :]
    finally:
        torch.set_num_threads(threads)
    median_s, p95_s = median(times), quantiles(times, n=20, method="inclusive")[-1]
    return TargetCost(params, int(counter.get_total_flops()) // 2, 1000 * median_s, 1000 * p95_s)


def _seconds(target: torch.nn.Module, image: torch.Tensor) -> float:
    started = perf_counter()
    target(image)
    return perf_counter() - started


def read_costs(path: Path) -> Costs:
    """Read the costs that `write_checked` wrote; {} if there is no file.

    Raises:
        DamagedJson: If it holds something else.
    """
    return checked_object(path.read_bytes(), required=True) if path.exists() else {}
