"""A whole search of one pair: features, teachers, trials; with Ray where it is installed, and without it."""

import importlib.util
import multiprocessing
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from queue import Empty
from time import perf_counter
from typing import Any

import torch
import yaml

from benchmarks.gpu.clock import watched_card
from benchmarks.gpu.material import make_config, make_task
from benchmarks.gpu.packing import started
from benchmarks.gpu.recorder import Recorder, or_unknown
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.teachers import part_of
from benchmarks.images import make_images
from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.features import Features, compute_view, load_view, save_view, view_numbers, with_ids
from tdmr_ray.training.fit import fit
from tdmr_ray.training.teacher_artifact import make_teacher

ROOT = Path(__file__).parents[2]
LONGEST_S = 300.0
"""Longest wait for a trial."""


def measure_without_ray(recorder: Recorder, sizes: Sizes) -> None:
    """Make features once, then run trials in as many processes as were best, each with its teacher."""
    count = int(recorder.known.get("packed_best_processes", max(sizes.packed)))
    count = min(count, sizes.search_trials)
    context = multiprocessing.get_context()
    numbers, answers = context.Queue(), context.Queue()
    for number in range(sizes.search_trials):
        numbers.put(number)
    with tempfile.TemporaryDirectory() as folder, watched_card() as card:
        start = perf_counter()
        write_features(sizes, Path(folder))
        features_s = perf_counter() - start
        torch.cuda.empty_cache()
        with started([(run_trials, (sizes, Path(folder), numbers, answers)) for _ in range(count)]):
            ends = []
            for _ in range(sizes.search_trials):
                answers.get(timeout=LONGEST_S)
                ends.append(perf_counter() - start)
    report(recorder, "without_ray", ends, card.percent, processes=count, features_s=features_s)


def write_features(sizes: Sizes, folder: Path) -> None:
    """Write the features of all views, each into a folder of its own."""
    config, task = search_config(sizes, 0), search_task(sizes)
    for number in view_numbers(config):
        (folder / str(number)).mkdir()
        save_view(compute_view(config, task, number), folder / str(number))


def read_features(folder: Path, config: TrialConfig, task: Task) -> Features:
    """Open the features of all views."""
    return Features([[load_view(folder / str(number)) for number in view_numbers(config)]])


def search_config(sizes: Sizes, number: int) -> TrialConfig:
    """Return a trial; every other one has another mapping, so that both levels of reuse take part."""
    values = {"distill.epochs": sizes.search_epochs, "mapping.kind": ("linear", "prototype")[number % 2]}
    config = make_config(sizes, sizes.targets[0], seed=number).with_values(values)
    return config.model_copy(update={"foundation": part_of(sizes.teachers[-1], sizes)})


def search_task(sizes: Sizes) -> Task:
    """Return the images of the search, numbered."""
    return with_ids(make_task(sizes, sizes.search_images))


def run_trials(sizes: Sizes, features: Path, numbers: Any, answers: Any) -> None:
    """Run trials from teacher to test until none is left, and send their numbers."""
    torch.set_num_threads(1)
    task = search_task(sizes)
    provider = partial(make_teacher, features_of=partial(read_features, features))
    while True:
        try:
            number = numbers.get(timeout=1)
        except Empty:
            return
        fit(search_config(sizes, number), task, lambda _: None, provider=provider, read_test=True)
        answers.put(number)


def measure_with_ray(recorder: Recorder, sizes: Sizes) -> None:
    """Run the command on generated photographs with a GPU share of `auto`; its output is shown."""
    if importlib.util.find_spec("ray") is None:
        recorder.note("skipped: Ray is not installed")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder / "photos", sizes.search_images, (sizes.px, 2 * sizes.px), sizes.num_classes)
        (folder / "space.yaml").write_text(yaml.safe_dump(space_of(sizes, folder)), encoding="utf-8")
        place = ("--out", str(folder / "out"), "--store", str(folder / "store"))
        command = [sys.executable, "-m", "tdmr_ray.search", "--space", str(folder / "space.yaml"), *place]
        start = perf_counter()
        with watched_card() as card:
            subprocess.run(command, cwd=ROOT, check=True)
        report(recorder, "with_ray", [perf_counter() - start] * sizes.search_trials, card.percent)


def space_of(sizes: Sizes, folder: Path) -> dict[str, Any]:
    """Return the content of the space file."""
    foundation = {"name": sizes.teachers[-1], "weights": "random", "image_px": sizes.px}
    return {
        "name": "gpu",
        "data": {"name": str(folder / "photos"), "image_px": sizes.px},
        "pairs": {"foundations": [foundation], "targets": [sizes.targets[0]]},
        "objective": {"metric": "val/top1"},
        "budget": {"trials": sizes.search_trials, "epochs": sizes.search_epochs},
        "confirm": {"top": 0},
        "resources": {"gpu": "auto" if torch.cuda.is_available() else 0},
        "search": {"distill.lr": {"low": 0.0005, "high": 0.005, "log": True}},
    }


def report(recorder: Recorder, name: str, ends: list[float], utilisation: float | None, **cells: str | float) -> None:
    """Keep the seconds, the rate and the utilisation of a search whose trials ended at `ends`, in seconds."""
    per_minute = 60 * len(ends) / ends[-1]
    recorder.figure(f"search_seconds_{name}", ends[-1])
    recorder.figure(f"search_seconds_to_first_trial_{name}", ends[0])
    recorder.figure(f"search_trials_per_minute_{name}", per_minute)
    if utilisation is not None:
        recorder.figure(f"search_utilisation_percent_{name}", utilisation)
    recorder.row(
        search=name.replace("_", " "),
        trials=len(ends),
        seconds=ends[-1],
        first_trial_s=ends[0],
        trials_per_minute=per_minute,
        utilisation_percent=or_unknown(utilisation),
        **cells,
    )
