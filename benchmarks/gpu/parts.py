"""The parts of the measurement, each in a process of its own with a time limit."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter

import torch

from benchmarks.gpu import batching, out_of_memory, packing, peaks, targets, teachers, whole_search
from benchmarks.gpu.clock import watched_card
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.sizes import Sizes


@dataclass(frozen=True)
class Part:
    """A question to the card.

    Attributes:
        title: Heading of its section.
        measure: Answers it.
        limit_s: Longest time for it.
    """

    title: str
    measure: Callable[[Recorder, Sizes], None]
    limit_s: float


PARTS = {
    "peaks": Part("Peaks of the card", peaks.measure, 40),
    "packing": Part("Trials per minute by packing processes", packing.measure, 160),
    "batching": Part("Trials per minute as one batched program", batching.measure, 90),
    "out_of_memory": Part("Out-of-memory halving", out_of_memory.measure, 40),
    "search": Part("Whole search without Ray", whole_search.measure_without_ray, 80),
    "teachers": Part("Teachers", teachers.measure, 130),
    "targets": Part("Steps of targets", targets.measure, 220),
    "search_with_ray": Part("Whole search with Ray", whole_search.measure_with_ray, 150),
}
"""Parts in their order: those that use the figures of others, and those that compile, come late."""


def run_part(name: str, path: Path, known: Mapping[str, float], sizes: Sizes) -> None:
    """Run a part in this process, which becomes the leader of a process group."""
    os.setsid()
    recorder = Recorder(path, known)
    with watched_card() as card:
        try:
            PARTS[name].measure(recorder, sizes)
        except Exception as error:  # noqa: BLE001 - the other parts go on, and the results say why
            traceback.print_exc()
            recorder.failed("the part", error)
            sys.exit(1)
    if card.percent is not None:
        recorder.figure(f"utilisation_percent_{name}", card.percent)


def run_limited(name: str, path: Path, known: Mapping[str, float], sizes: Sizes, limit_s: float) -> str:
    """Run a part in a process of its own; return its status."""
    process = multiprocessing.get_context().Process(target=run_part, args=(name, path, known, sizes))
    start = perf_counter()
    process.start()
    process.join(limit_s)
    if process.is_alive():
        end_group(process)
        return f"ended after its limit of {limit_s:.0f} s; what it had found is kept"
    seconds = perf_counter() - start
    return f"done in {seconds:.0f} s" if process.exitcode == 0 else f"failed after {seconds:.0f} s"


def end_group(process: BaseProcess) -> None:
    """End a part with all that it has started itself; its packed processes notice by themselves."""
    assert process.pid is not None, "the process was started"
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def try_card(device: str) -> None:
    """Use the card, which fails in a process that was forked from one that had used it."""
    torch.zeros(1, device=device)


def choose_start_method() -> None:
    """Let processes be forked from one that has imported everything, or else begin anew, which takes seconds each."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    multiprocessing.set_forkserver_preload([__name__])
    multiprocessing.set_start_method("forkserver")
    trial = multiprocessing.get_context().Process(target=try_card, args=(device,))
    trial.start()
    trial.join()
    if trial.exitcode != 0:
        multiprocessing.set_start_method("spawn", force=True)
