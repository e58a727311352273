"""Trials per minute when processes share the card, and the choice of `gpu: auto`."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from queue import Empty
from threading import BrokenBarrierError
from time import perf_counter, sleep
from typing import Any

import torch

from benchmarks.gpu.clock import synchronize, watched_card
from benchmarks.gpu.material import make_config, make_distillation, make_task, train_epoch
from benchmarks.gpu.memory import taken_and_total
from benchmarks.gpu.recorder import Recorder, or_unknown
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.teachers import part_of
from tdmr_ray.runner.gpu_share import gpu_share, shortened
from tdmr_ray.training.fit import Run

START_S = 60.0
"""Longest wait for processes to start."""


@dataclass(frozen=True)
class Packed:
    """Result of some processes together.

    Attributes:
        epochs_per_s: Epochs of all of them.
        bytes: Memory of the card that they took, theirs alone.
        utilisation: Mean utilisation of the card, in percent; None without nvidia-smi.
    """

    epochs_per_s: float
    bytes: int
    utilisation: float | None


def measure(recorder: Recorder, sizes: Sizes) -> None:
    """Measure each number of processes, and that of `gpu: auto` unless it is larger than all of them."""
    auto = processes_of_auto(recorder, sizes)
    rates: dict[int, float] = {}
    for count in dict.fromkeys((1, min(auto, max(sizes.packed)), *sizes.packed)):
        packed = run_together(count, sizes)
        if packed is None:
            recorder.note(f"{count} processes did not start within {START_S:.0f} s or ran out of memory")
            continue
        rates[count] = 60 * packed.epochs_per_s / sizes.epochs
        recorder.figure(f"packed_trials_per_minute_{count}", rates[count])
        recorder.figure(f"packed_gb_per_trial_{count}", packed.bytes / count / 1e9)
        recorder.row(
            processes=count,
            trials_per_minute=rates[count],
            GB_per_trial=packed.bytes / count / 1e9,
            utilisation_percent=or_unknown(packed.utilisation),
        )
    best = max(rates, key=rates.__getitem__)
    recorder.figure("packed_best_processes", best)
    recorder.figure("packed_best_trials_per_minute", rates[best])
    if auto in rates:
        recorder.figure("gpu_auto_fraction_of_best", rates[auto] / rates[best])
    if torch.cuda.is_available():
        measure_on_card(recorder, sizes, best)
    recorder.note(
        f"a trial is {sizes.epochs} epochs of {sizes.steps} steps of {sizes.batch} images of {sizes.targets[0]}, from "
        f"stored teacher outputs and without measuring on val; gpu: auto takes {auto} processes, {best} are best"
    )


def measure_on_card(recorder: Recorder, sizes: Sizes, count: int) -> None:
    """Measure the best number again, with every process's images on the card."""
    packed = run_together(count, sizes, on_device=True)
    if packed is None:
        recorder.note("the images of all processes do not fit onto the card")
        return
    rate = 60 * packed.epochs_per_s / sizes.epochs
    recorder.figure("packed_on_card_trials_per_minute", rate)
    recorder.row(processes_with_images_on_card=count, trials_per_minute=rate)


def processes_of_auto(recorder: Recorder, sizes: Sizes) -> int:
    """Return the processes that `gpu: auto` chooses, from the memory of one trial with its teacher."""
    answers = multiprocessing.get_context().Queue()
    before, _ = taken_and_total() if torch.cuda.is_available() else (0, 0)
    with started([(take_one_epoch, (sizes, answers))]):
        taken, total = answers.get(timeout=START_S)
    recorder.figure("gpu_auto_gb_taken", (taken - before) / 1e9)
    recorder.row(trial_with_teacher=sizes.teachers[-1], GB_taken=(taken - before) / 1e9, GB_of_all=total / 1e9)
    auto = round(1 / gpu_share(taken - before, total))
    recorder.figure("gpu_auto_processes", auto)
    return auto


def take_one_epoch(sizes: Sizes, answers: Any) -> None:
    """Run a short trial with its teacher in this process, and send the memory taken."""
    config = make_config(sizes, sizes.targets[0]).model_copy(update={"foundation": part_of(sizes.teachers[-1], sizes)})
    Run(shortened(config), make_task(sizes)).run_epoch()
    answers.put(taken_and_total())


def run_together(count: int, sizes: Sizes, *, on_device: bool = False) -> Packed | None:
    """Run processes that train for a while at the same time; None if one of them ended early."""
    context = multiprocessing.get_context()
    answers, ready = context.Queue(), context.Barrier(count + 1)
    before, _ = taken_and_total()
    with started([(train_for_a_while, (number, count, sizes, on_device, ready, answers)) for number in range(count)]):
        try:
            ready.wait(START_S)
            with watched_card() as card:
                sleep(0.8 * sizes.window_s)
                after, _ = taken_and_total()
            rates = [answers.get(timeout=START_S) for _ in range(count)]
        except (BrokenBarrierError, Empty):
            return None
    own_bytes = after - before if torch.cuda.is_available() else sum(taken for _, taken in rates)
    return Packed(sum(rate for rate, _ in rates), own_bytes, card.percent)


def train_for_a_while(number: int, count: int, sizes: Sizes, on_device: bool, ready: Any, answers: Any) -> None:
    """Send the epochs per second of one training, and the memory of this process."""
    torch.set_num_threads(max(1, torch.get_num_threads() // count))
    config = make_config(sizes, sizes.targets[0], seed=number)
    distillation = make_distillation(config, sizes, make_task(sizes, on_device=on_device))
    train_epoch(distillation)
    synchronize()
    ready.wait(START_S)
    epochs, start, parent = 0, perf_counter(), multiprocessing.parent_process()
    while perf_counter() - start < sizes.window_s and (parent is None or parent.is_alive()):
        train_epoch(distillation)
        epochs += 1
    synchronize()
    answers.put((epochs / (perf_counter() - start), taken_and_total()[0]))


@contextmanager
def started(works: list[tuple[Any, tuple[Any, ...]]]) -> Iterator[list[BaseProcess]]:
    """Run functions in processes of their own, which end with this context at the latest."""
    context = multiprocessing.get_context()
    processes: list[BaseProcess] = [
        context.Process(target=function, args=arguments, daemon=True) for function, arguments in works
    ]
    for process in processes:
        process.start()
    try:
        yield processes
        for process in processes:
            process.join(START_S)
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
