"""Rates of work on a device, and the utilisation of the card meanwhile."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import mean
from tempfile import TemporaryFile
from time import perf_counter

import torch

SAMPLE_MS = 200


def synchronize() -> None:
    """Wait until the card has done all that was asked of it; a CPU always has."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    synchronize()
    started = perf_counter()
    work()
    synchronize()
    return perf_counter() - started


def seconds_per_call(work: Callable[[], object], seconds: float) -> float:
    """Return the mean seconds of a call, over about `seconds` of calls after two to warm up."""
    work()
    calls = max(1, int(seconds / max(seconds_of(work), 1e-6)))

    def repeated() -> None:
        for _ in range(calls):
            work()

    return seconds_of(repeated) / calls


@dataclass
class Utilisation:
    """Samples of the share of time in which a kernel ran on the card, in percent.

    Attributes:
        samples: One for each `SAMPLE_MS`; empty without nvidia-smi.
    """

    samples: list[float] = field(default_factory=list)

    @property
    def percent(self) -> float | None:
        """Mean of the samples; None without any."""
        return mean(self.samples) if self.samples else None


@contextmanager
def watched_card() -> Iterator[Utilisation]:
    """Sample the card's utilisation inside this context; the samples are there after it."""
    found = Utilisation()
    if shutil.which("nvidia-smi") is None:
        yield found
        return
    unbuffered = ("stdbuf", "--output=L") if shutil.which("stdbuf") else ()
    query = ("--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"--loop-ms={SAMPLE_MS}")
    command = [*unbuffered, "nvidia-smi", *query]
    with TemporaryFile("w+") as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, text=True) as sampler:
            try:
                yield found
            finally:
                sampler.terminate()
        output.seek(0)
        found.samples += [float(line) for line in output.read().split("\n") if line.strip().isdigit()]


def watched_seconds_per_call(work: Callable[[], object], seconds: float) -> tuple[float, float | None]:
    """Return `seconds_per_call` and the utilisation of the card meanwhile, in percent; None without nvidia-smi."""
    with watched_card() as card:
        found = seconds_per_call(work, seconds)
    return found, card.percent
