"""Measure how long the same list of trials takes: as in Ray's tutorials, in a plain loop, and in this package.

Run:    python benchmarks/search_throughput.py             (--trials 6 --images 4 for a first look)
Cost:   about 90 minutes on 2 cores of an otherwise idle machine.
Result: results/search_throughput.json and .md.

- `tutorial`: the way that Ray's guides describe. A Tune function for each trial starts a TorchTrainer with one worker,
  which loads everything, reprograms its teacher and runs the teacher on every batch.
- `sequential`: a loop in one process that uses all cores as threads. Data and foundation stay in memory; each trial
  reprograms its teacher and runs the teacher on every batch.
- `cold`: this package with an empty store. `warm`: the same again, with the store that `cold` left.

All ways get the same configurations and stop each trial after the same epoch, as early stopping would: six of nine
trials after the first third of the epochs, two after the second third, one at the end. The teacher is a ViT-Ti/16 at
224 px with random weights (only its cost matters), the target a mobile network at 64 px.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Annotated, Any

import ray
import ray.train
import torch
import typer
from ray import tune
from ray.cloudpickle import register_pickle_by_value
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.local_hub import make_hub
from benchmarks.results_file import show_and_keep
from tdmr_ray.data.loading import load_task
from tdmr_ray.models.embedded import EMBEDDED
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.cluster import num_slots, ray_session
from tdmr_ray.runner.leases import LeaseTable
from tdmr_ray.runner.loop import run_trials
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.runner.teacher_provider import teacher_key_of
from tdmr_ray.space import Resources
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run
from tdmr_ray.tuning.cache_aware_queue import CacheAwareQueue
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_source import Queue
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec

NAME = "search_throughput"
FOUNDATION, TARGET = "vit_tiny_patch16_224", "mobilenetv3_small_050"
EPOCHS = 6
STOPS = (2, 2, 2, 4, 2, 2, 4, 2, 6)
"""Last epochs of the trials; the list repeats."""
PROMPTS_PX = (0, 8)
OBJECTIVE = "val/top1"

Scores = dict[str, float]
"""The last accuracy on val of each trial, by its id."""


def build_list(trials: int, shots: int, foundation: str) -> list[tuple[TrialSpec, int]]:
    """Return trials with two teachers and varied distillation, each with its last epoch."""
    specs = []
    for number in range(trials):
        config = TrialConfig().with_values(
            {
                "data.shots": shots,
                "data.image_px": 64,
                "foundation.name": foundation,
                "target.name": TARGET,
                "prompt.size_px": PROMPTS_PX[number % len(PROMPTS_PX)],
                "mapping.kind": "linear",
                "reprogram.epochs": 2,
                "outputs.num_views": EPOCHS,
                "distill.epochs": EPOCHS,
                "distill.num_stages": 1 + number % 3,
                "distill.lr": 0.006 * 1.1**number,
                "temperature.start": 1.0 + number % 8,
            }
        )
        specs.append((build_spec(config, phase="search"), STOPS[number % len(STOPS)]))
    return specs


def sequential(specs: list[tuple[TrialSpec, int]]) -> Scores:
    """Run the trials one after the other in this process."""
    scores, tasks = {}, TaskCache()
    for spec, stop in specs:
        run = Run(live(spec.config), tasks.get(spec.config.data))
        for _ in range(stop):
            metrics = run.run_epoch()
        scores[spec.id] = metrics[OBJECTIVE]
    return scores


def live(config: TrialConfig) -> TrialConfig:
    """Return the same trial with a teacher that runs on every batch."""
    return config.replace(outputs__kind="live")


def train_one(loop: dict[str, Any]) -> None:
    """Train a trial in a Ray Train worker, as the guides do."""
    torch.set_num_threads(1)
    config = TrialConfig.model_validate(loop["config"])
    run = Run(config, load_task(config.data))
    for _ in range(loop["stop"]):
        ray.train.report(dict(run.run_epoch()))


def tutorial_trial(config: dict[str, Any]) -> None:
    """Start a TorchTrainer from a Tune function."""
    row = config["row"]
    TorchTrainer(
        train_one,
        train_loop_config=row,
        scaling_config=ScalingConfig(num_workers=1, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(name=row["id"], storage_path=row["storage"], callbacks=[TuneReportCallback()]),
    ).fit()


def tutorial(specs: list[tuple[TrialSpec, int]]) -> Scores:
    """Run Tune over TorchTrainers, one for each core at a time; the functions only wait and take no core."""
    cores = os.cpu_count() or 1
    ray.init(num_cpus=2 * cores, include_dashboard=False, logging_level=logging.CRITICAL, log_to_driver=False)
    try:
        return tuned(specs, cores)
    finally:
        ray.shutdown()


def tuned(specs: list[tuple[TrialSpec, int]], cores: int) -> Scores:
    """Run the search and return the scores."""
    with tempfile.TemporaryDirectory() as storage:
        rows = [
            {"id": spec.id, "config": live(spec.config).model_dump(mode="json"), "stop": stop, "storage": storage}
            for spec, stop in specs
        ]
        tuner = tune.Tuner(
            tune.with_resources(tutorial_trial, {"CPU": 1}),
            param_space={"row": tune.grid_search(rows)},
            tune_config=tune.TuneConfig(max_concurrent_trials=cores),
            run_config=tune.RunConfig(storage_path=storage, name="tune", verbose=0),
        )
        results = tuner.fit()
        assert not results.errors, results.errors
        return {result.config["row"]["id"]: result.metrics[OBJECTIVE] for result in results}


class StopAfter:
    """Pruner that ends each trial after its last epoch."""

    def __init__(self, stops: dict[str, int]) -> None:
        self.stops, self.epochs = stops, tuple(sorted(set(stops.values())))

    def should_continue(self, pair: str, trial_id: str, epoch: int, score: float) -> bool:
        """Return whether the trial has epochs left."""
        return epoch < self.stops[trial_id]


class Watch(Listener):
    """Collects the score of each trial, and the seconds for teachers and targets."""

    def __init__(self) -> None:
        self.scores: Scores = {}
        self.teachers_s = self.targets_s = 0.0

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """One more."""
        assert not record.error, record.error
        made_s = 0.0 if record.teacher_reused else record.teacher_seconds
        self.scores[spec.id] = record.metrics[OBJECTIVE]
        self.teachers_s += made_s
        self.targets_s += record.seconds - made_s


def ours(specs: list[tuple[TrialSpec, int]], store: Path) -> Scores:
    """Run the trials with this package and print how the time of its slots was spent."""
    programs, watch, resources = Store(store), Watch(), Resources()
    slots, started = num_slots(resources), perf_counter()
    source = CacheAwareQueue(
        Queue([spec for spec, _ in specs]),
        partial(teacher_key_of, tasks=TaskCache(SharedStore(programs, LeaseTable()))),
        programs.has,
        slots=slots,
    )
    with tempfile.TemporaryDirectory() as root:
        run_trials(
            source,
            resources=resources,
            slots=slots,
            settings=WorkerSettings.build(programs, resources),
            layout=RunLayout(Path(root)),
            objective=OBJECTIVE,
            listeners=(watch,),
            stop_conditions=(),
            pruner=StopAfter({spec.id: stop for spec, stop in specs}),
        )
    rest_s = slots * (perf_counter() - started) - watch.teachers_s - watch.targets_s
    print(
        f"{slots} slots: teachers {watch.teachers_s:.0f} s, targets {watch.targets_s:.0f} s, start, waiting and idle "
        f"{rest_s:.0f} s"
    )
    return watch.scores


def timed(work: Callable[[], Scores]) -> tuple[float, Scores]:
    """Return the seconds of a whole search, including the start of Ray, and its scores."""
    started = perf_counter()
    scores = work()
    return perf_counter() - started, scores


def with_ray(work: Callable[[], Scores]) -> Callable[[], Scores]:
    """Wrap a search in a Ray of its own."""

    def run() -> Scores:
        with ray_session(None, verbose=False):
            return work()

    return run


def largest_gap(found: dict[str, Scores]) -> float:
    """Return the largest difference of a mean accuracy over all trials to that of `sequential`."""
    means = {name: mean(scores.values()) for name, scores in found.items()}
    return max(abs(value - means["sequential"]) for value in means.values())


def main(
    trials: Annotated[int, typer.Option(min=2)] = 27,
    images: Annotated[int, typer.Option(min=1, help="Labelled images per class.")] = 20,
    foundation: Annotated[
        str, typer.Option(help="With a built-in one, this only checks that all ways run.")
    ] = FOUNDATION,
) -> None:
    """Run the list in all four ways and report."""
    register_pickle_by_value(sys.modules[__name__])
    with tempfile.TemporaryDirectory() as folder:
        if foundation not in EMBEDDED:
            make_hub(Path(folder) / "hub", (foundation,))
        specs, store = build_list(trials, images, foundation), Path(folder) / "store"
        arms: dict[str, Callable[[], Scores]] = {
            "cold": with_ray(lambda: ours(specs, store)),
            "warm": with_ray(lambda: ours(specs, store)),
            "sequential": lambda: sequential(specs),
            "tutorial": lambda: tutorial(specs),
        }
        found = {}
        for name, work in arms.items():
            found[name] = timed(work)
            print(f"{name}: {found[name][0]:.0f} s", flush=True)
    report(
        {name: seconds for name, (seconds, _) in found.items()}, {name: scores for name, (_, scores) in found.items()}
    )


def report(seconds: dict[str, float], scores: dict[str, Scores]) -> None:
    """Print and keep the figures."""
    lines = ["| way | seconds | mean accuracy on val, % |", "|---|--:|--:|"]
    lines += [f"| {name} | {took:.0f} | {100 * mean(scores[name].values()):.1f} |" for name, took in seconds.items()]
    figures: dict[str, float | Estimate] = {
        "speedup_over_tutorial_cold": seconds["tutorial"] / seconds["cold"],
        "speedup_over_tutorial_warm": seconds["tutorial"] / seconds["warm"],
        "speedup_over_sequential_cold": seconds["sequential"] / seconds["cold"],
        "largest_accuracy_gap": largest_gap(scores),
        **{f"seconds_{name}": took for name, took in seconds.items()},
    }
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
