"""Measure the overhead of the driver in a long search: empty trials through Tune, studies, ledger and TensorBoard.

Run:    python benchmarks/driver_overhead.py             (10,000 trials; --trials 1000 for fewer)
Cost:   20 minutes on 2 cores of an otherwise idle machine.
Result: results/driver_overhead.json and .md: empty trials an hour; the driver's CPU time for a trial and its memory.

Trials train nothing: they report a curve that follows from their learning rate. The time is therefore that of this
package and of Ray Tune, with four continuous parameters, TPE and early stopping. The search has ten pairs first, then
two, whose studies are five times as long.
"""

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import psutil
import typer
from ray import tune
from ray.cloudpickle import register_pickle_by_value
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.cluster import num_slots, ray_session
from tdmr_ray.runner.ledger_writer import LedgerWriter
from tdmr_ray.runner.loop import run_trials
from tdmr_ray.runner.messages import TrialReport, WorkerSettings, assignment_in
from tdmr_ray.runner.progress import TITLES, Progress
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.runner.teacher_provider import teacher_key_of
from tdmr_ray.runner.tensorboard import TensorBoardLog
from tdmr_ray.space import Space
from tdmr_ray.space.reading import check_tree
from tdmr_ray.store import Store
from tdmr_ray.tuning.cache_aware_queue import CacheAwareQueue
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.pruning import Rungs
from tdmr_ray.tuning.studies import PairStudies
from tdmr_ray.tuning.trial_spec import TrialSpec

NAME = "driver_overhead"
MARKS = (100, 1000, 5000, 10_000)
WINDOW = 100
"""Number of trials before a mark over which the time is averaged."""
EPOCHS = 3
FOUNDATIONS = ("glyph_cnn", "glyph_vit")
TARGETS = ("lcnet_035", "lcnet_050", "lcnet_075", "mobilenetv3_small_050", "mobilenetv3_small_075")
PAIRS = {"ten": (FOUNDATIONS, TARGETS), "two": (FOUNDATIONS, TARGETS[:1])}


def empty_space(trials: int, pairs: str) -> Space:
    """Return a space with four continuous parameters and ten or two pairs."""
    ranges = ("distill.lr", "temperature.start", "distill.alignment_weight", "distill.weight_decay")
    tree = {
        "name": NAME,
        "data": {"name": "digits", "shots": 5},
        "pairs": dict(zip(("foundations", "targets"), PAIRS[pairs], strict=True)),
        "budget": {"trials": trials, "epochs": EPOCHS, "allocation": "equal"},
        "search": {name: {"low": 0.001, "high": 0.1} for name in ranges},
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    return space


class EmptyTrial(tune.Trainable):
    """Reports as `TrialActor` does, without training."""

    def setup(self, config: dict[str, Any]) -> None:
        """Tune's word for a fresh process."""
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Tune's word for a further trial."""
        self.config, self.epoch = assignment_in(new_config).spec.config, 0
        return True

    def step(self) -> dict[str, Any]:
        """An epoch."""
        self.epoch += 1
        score = 1 - abs(self.config.distill.lr - 0.05) - 0.1 / self.epoch
        metrics = {"epoch": float(self.epoch), "val/top1": score}
        return TrialReport(epoch=self.epoch, done=self.epoch == EPOCHS, metrics=metrics).as_result()


class Watch(Listener):
    """Records time, the driver's CPU seconds and its memory whenever a trial ends."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.wall_s: list[float] = []
        self.cpu_s: list[float] = []
        self.bytes: list[int] = []

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """One more."""
        times = self.process.cpu_times()
        self.wall_s.append(perf_counter())
        self.cpu_s.append(times.user + times.system)
        self.bytes.append(self.process.memory_info().rss)


def measure(trials: int, pairs: str, address: str | None = None) -> tuple[list[float], list[float], list[int]]:
    """Run empty trials in a temporary folder; return time, CPU seconds and memory of this process at the end of each.

    Args:
        trials: Number of trials.
        pairs: A key of `PAIRS`.
        address: Address of a running Ray; None starts one.
    """
    space, watch = empty_space(trials, pairs), Watch()
    register_pickle_by_value(sys.modules[__name__])  # Ray's workers cannot import the script of a spawned process
    with tempfile.TemporaryDirectory() as root, ray_session(address, verbose=False):
        layout, store = RunLayout(Path(root)), Store(Path(root) / "store")
        studies = PairStudies(space)
        progress = Progress(Console(width=120), "val/top1")
        progress.begin(TITLES["search"], list(studies.studies), trials)
        rungs = Rungs(EPOCHS)
        board = TensorBoardLog(layout.tensorboard, store, "val/top1")
        slots = num_slots(space.resources)
        run_trials(
            CacheAwareQueue(studies, partial(teacher_key_of, tasks=TaskCache()), store.has, slots=slots),
            resources=space.resources,
            slots=slots,
            settings=WorkerSettings.build(store, space.resources),
            layout=layout,
            objective="val/top1",
            listeners=(LedgerWriter(layout, lambda: rungs.epochs), board, progress, watch),
            stop_conditions=(),
            pruner=rungs,
            trainable=EmptyTrial,
        )
        progress.stop()
    return watch.wall_s, watch.cpu_s, watch.bytes


def ms_at(mark: int, seconds: list[float]) -> float:
    """Return the milliseconds per trial over the last `WINDOW` trials before a mark."""
    first = max(1, mark - WINDOW)
    return 1000 * (seconds[mark - 1] - seconds[first - 1]) / (mark - first)


def main(trials: Annotated[int, typer.Option(min=2 * WINDOW)] = MARKS[-1]) -> None:
    """Measure each number of pairs in a fresh process, print and keep the figures."""
    columns = ("pairs", "trials so far", "ms per trial", "driver's CPU ms per trial", "driver's memory, MB")
    lines = ["| " + " | ".join(columns) + " |", "|---|--:|--:|--:|--:|"]
    figures: dict[str, float | Estimate] = {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for pairs in PAIRS:
            wall_s, cpu_s, memory = pool.submit(measure, trials, pairs).result()
            for mark in (each for each in MARKS if each <= trials):
                wall, cpu, megabytes = ms_at(mark, wall_s), ms_at(mark, cpu_s), memory[mark - 1] / 1e6
                figures |= {f"{pairs}_pairs_ms_at_{mark}": cpu, f"{pairs}_pairs_mb_at_{mark}": megabytes}
                lines.append(f"| {pairs} | {mark} | {wall:.0f} | {cpu:.0f} | {megabytes:.0f} |")
            if pairs == "ten":
                figures["trials_per_hour"] = 3600 * (len(wall_s) - 1) / (wall_s[-1] - wall_s[0])
                figures["time_ratio_5000_to_100"] = ms_at(min(5000, trials), cpu_s) / ms_at(100, cpu_s)
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
