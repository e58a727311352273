"""Trials per minute of several trials as one program, against the same trials one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from benchmarks.gpu.clock import seconds_per_call
from benchmarks.gpu.material import make_config, make_outputs, make_task, train_epoch
from benchmarks.gpu.recorder import Recorder, or_unknown
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.stacked import StackedTraining
from tdmr_ray.training.config import Precision
from tdmr_ray.training.distill import Distillation

LEARNING_RATES = (0.003, 0.006, 0.012)


def make_trials(sizes: Sizes, count: int, precision: Precision, *, on_device: bool = False) -> list[Distillation]:
    """Return trials of one pair that differ in seed, learning rate and the weight of the logits."""
    task = make_task(sizes, on_device=on_device)
    outputs = make_outputs(sizes, len(task.train))
    trials = []
    for number in range(count):
        config = make_config(sizes, sizes.targets[0], precision, seed=number)
        changed = {"distill.lr": LEARNING_RATES[number % 3], "distill.logits_weight": 1.0 + number % 2}
        trials.append(Distillation(config.with_values(changed), task, outputs, length=len(task.train)))
    return trials


def measure(recorder: Recorder, sizes: Sizes) -> None:
    """Check that both ways agree, then measure each number of trials with and without matrix products."""
    for products in (False, True):
        with recorder.attempt(f"comparison of the first step, {way_of(products)}"):
            gap = first_step_gap(sizes, products=products)
            recorder.figure(f"batched_gap_of_first_step_{way_of(products)}", gap)
            recorder.row(way=way_of(products), largest_relative_gap_of_first_step=gap)
    (alone,) = make_trials(sizes, 1, "auto")
    one_by_one = per_minute(sizes, 1, seconds_per_call(lambda: train_epoch(alone), sizes.seconds))
    recorder.figure("batched_trials_per_minute_1", one_by_one)
    recorder.row(way="one by one", trials=1, trials_per_minute=one_by_one, GB_per_trial="?")
    rates: dict[tuple[int, bool], float] = {}
    for count in sizes.stacked:
        for products in (False, True):
            with recorder.attempt(f"{count} trials as one program, {way_of(products)}"):
                rates[count, products] = measure_together(recorder, sizes, count, products=products)
    best = max(rates, key=rates.__getitem__)
    recorder.figure("batched_best_over_one_by_one", rates[best] / one_by_one)
    compare_with_packing(recorder, "packed_best_trials_per_minute", "batched_best_over_packed_best", rates[best])
    if torch.cuda.is_available():
        on_card = measure_together(recorder, sizes, best[0], products=best[1], on_device=True)
        compare_with_packing(recorder, "packed_on_card_trials_per_minute", "batched_over_packed_on_card", on_card)
    recorder.note("torch has no batching rule for kl_div, which therefore runs once for each trial")
    recorder.note("batch norm of one program gets fp32 maps, since its batching rule refuses bf16 ones")


def compare_with_packing(recorder: Recorder, packed: str, name: str, rate: float) -> None:
    """Keep a rate as a multiple of one of packing, if that was measured."""
    if packed in recorder.known:
        recorder.figure(name, rate / recorder.known[packed])


def measure_together(recorder: Recorder, sizes: Sizes, count: int, *, products: bool, on_device: bool = False) -> float:
    """Return the trials per minute of `count` trials as one program."""
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    together = StackedTraining(make_trials(sizes, count, "auto", on_device=on_device), products=products)
    rate = per_minute(sizes, count, seconds_per_call(together.train_epoch, sizes.seconds))
    gigabytes = torch.cuda.max_memory_allocated() / count / 1e9 if has_gpu else None
    way = way_of(products) + ("_images_on_card" if on_device else "")
    recorder.figure(f"batched_trials_per_minute_{count}_{way}", rate)
    recorder.row(way=way, trials=count, trials_per_minute=rate, GB_per_trial=or_unknown(gigabytes))
    return rate


def first_step_gap(sizes: Sizes, *, products: bool) -> float:
    """Return the largest relative gap of the first step's loss and gradient between both ways, in full fp32.

    Later steps are left out: where a gradient is nearly 0, AdamW turns rounding into steps of full length.
    """
    short = replace(sizes, steps=1)
    with full_fp32():
        together = StackedTraining(make_trials(short, 3, "fp32"), products=products)
        losses = together.train_epoch().tolist()
        gaps = []
        for trial, loss, mean in zip(make_trials(short, 3, "fp32"), losses, together.mean, strict=True):
            own_loss = train_epoch(trial)["train/loss"]
            states = [trial.optimizer.state[parameter] for parameter in trial.learner.target.parameters()]
            own_mean = torch.cat([state["exp_avg"].flatten() for state in states])
            gaps += [abs(loss - own_loss) / own_loss, float((mean - own_mean).norm() / own_mean.norm())]
    return float(max(gaps))


@contextmanager
def full_fp32() -> Iterator[None]:
    """Let convolutions compute in full fp32 inside this context; products do by default."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def way_of(products: bool) -> str:
    """Return the name of a way to run pointwise convolutions of several trials."""
    return "products" if products else "grouped"


def per_minute(sizes: Sizes, trials: int, epoch_s: float) -> float:
    """Return the trials per minute when an epoch of `trials` trials takes `epoch_s`."""
    return 60 * trials / (epoch_s * sizes.epochs)
