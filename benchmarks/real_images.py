"""Compare TDMR with what people do today, on real images with real foundations, and on the built-in sets.

Run:    python benchmarks/real_images.py             (run it again after an interruption: finished runs are kept)
        python benchmarks/real_images.py --report    (only the tables, from what has finished)
Assets: images and weights in assets/, from `bash benchmarks/real_assets.sh`. No image is committed.
Cost:   features of the foundations half an hour once, then about 2 minutes a run on one core; 5 hours of two cores.
Result: results/real_images.json, .md and .png; every run is a line of results/real_images.jsonl.

Each method first tries four configurations on other splits than the ones that are reported, with half of the steps,
and keeps the one that is best on val; photographs and writing choose apart, and so do both targets, on one cell each.
Then it runs with every seed, which draws train, val, labels and initial weights anew; test stays. All methods have as
many optimisation steps, val chooses the epoch, nobody refits on val, and all but scratch, fine-tuning and the frozen
target also see the training images without labels. From pretrained weights, every method that trains starts from a
classifier that was fitted to the network's own features. Test is read at the end of a run and decides nothing.

Limits: the ingredients of TDMR were chosen on val and test of other splits of the same sets (`split_seed` 7). The size
of 224 px for foundations was chosen on hidden training labels of the reported split. The transformer was trained for
saliency and not by DINOv2. Cells of one solar module may lie in different splits, and some drawings are alike.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.real_images_report import write_report
from benchmarks.resumable import Row, finished, run_missing
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.controls import CONTROLS
from tdmr_ray.training.features import (
    Features,
    compute_view,
    features_keys,
    load_view,
    one_network_each,
    save_view,
    view_numbers,
)
from tdmr_ray.training.fit import fit
from tdmr_ray.training.steps import with_steps
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher
from tdmr_ray.training.workers import Metrics

ASSETS = Path(__file__).parents[1] / "assets"
RUNS = Path(__file__).parent / "results" / "real_images.jsonl"
STEPS = {("small", "photographs"): 1200, ("small", "writing"): 3000, ("lite0", "photographs"): 240}
BATCH_SIZE = {"photographs": 64, "writing": 128}
"""Larger batches help all methods on writing (`does_it_help.py`), and cost little at 32 px."""
SEEDS = {"small": 5, "lite0": 3}
TUNING_SPLIT, TUNING_SEED = 7, 101
GLYPHS = ("glyph_cnn", "glyph_vit", "glyph_hybrid")
WITH_FOUNDATION = ("plain_kd", "first_edition", "tdmr")


Overrides = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """A data set with a number of labels a class; its first foundation is the one that plain distillation has.

    `methods` are all that are compared in the cell; empty for all there are.
    """

    data: str
    shots: int
    image_px: int | None
    foundations: tuple[str, ...]
    unlabeled: bool = True
    methods: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Whether settings are chosen on photographs or on writing."""
        return "writing" if self.foundations == GLYPHS else "photographs"

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that are measured."""
        return ("small",) if self.kind == "writing" else ("small", "lite0")


PHOTO_FOUNDATIONS = ("lite2", "lite0", "focus")
CELLS = {
    "fashion_5": Cell("fashion", 5, 64, PHOTO_FOUNDATIONS),
    "fashion_20": Cell("fashion", 20, 64, PHOTO_FOUNDATIONS),
    "elpv4_20": Cell("elpv4", 20, 96, PHOTO_FOUNDATIONS),
    "clipart_10": Cell("clipart", 10, 96, PHOTO_FOUNDATIONS),
    "digits_5": Cell("digits", 5, None, GLYPHS),
    "script_5": Cell("script", 5, None, GLYPHS),
    "digits_5_labels": Cell("digits", 5, None, GLYPHS, unlabeled=False, methods=("scratch", "tdmr")),
    "digits_10": Cell("digits", 10, None, GLYPHS, methods=("self_training", "tdmr")),
}
TUNED_ON = {
    ("small", "photographs"): "elpv4_20",
    ("small", "writing"): "script_5",
    ("lite0", "photographs"): "clipart_10",
}
"""On solar cells all methods from pretrained weights are alike on val, so that a choice there would be chance."""
NETWORKS: dict[str, dict[str, Any]] = {
    "lite2": {"name": "tf_efficientnet_lite2", "weights": str(ASSETS / "lite2.safetensors"), "image_px": 224},
    "lite0": {"name": "tf_efficientnet_lite0", "weights": str(ASSETS / "lite0.safetensors"), "image_px": 224},
    "focus": {"name": "vit_small_patch14_dinov2", "weights": str(ASSETS / "focus.safetensors"), "image_px": 98},
    **{name: {"name": name} for name in GLYPHS},
}
TARGETS: dict[str, dict[str, Any]] = {
    "small": {"name": "mobilenetv3_small_050"},
    "lite0": {"name": "tf_efficientnet_lite0", "weights": str(ASSETS / "lite0.safetensors")},
}
TDMR: dict[str, Overrides] = {
    "small": {
        "mapping.kind": "discriminant",
        "pseudo_labels.rounds": 1,
        "outputs.view_averaging": 1.0,
        "temperature.start": 4.0,
    },
}
TDMR["lite0"] = {**TDMR["small"], "distill.learn_first": "labels"}
"""The recipes of the second edition, in which they differ from the first one's defaults."""
LOGITS_ALONE: Overrides = {
    "distill.alignment_weight": 0.0,
    "distill.labels_weight": 0.0,
    "temperature.start": 2.0,
}
NEAR: Overrides = {"outputs.propagation_neighbors": 6, "outputs.propagation_alpha": 0.5}
MIXED, SLOWER, FASTER = {"views.mix": 0.5}, {"distill.lr": 0.006}, {"distill.lr": 0.02}
RATES: tuple[Overrides, ...] = ({"distill.lr": 0.0001}, {"distill.lr": 0.0003}, {"distill.lr": 0.00003})
MIDDLE = RATES[0]
TRIED: dict[tuple[str, str], tuple[Overrides, ...]] = {
    ("small", "scratch"): ({}, SLOWER, FASTER, MIXED),
    ("small", "self_training"): ({}, SLOWER, FASTER, MIXED),
    ("small", "plain_kd"): ({}, SLOWER, MIXED, {"temperature.start": 2.0}),
    ("small", "first_edition"): ({}, SLOWER, MIXED, {"temperature.start": 6.0}),
    ("small", "tdmr"): ({}, LOGITS_ALONE, MIXED, NEAR),
    ("lite0", "fine_tune"): (*RATES, MIDDLE | MIXED),
    ("lite0", "self_training_pretrained"): (*RATES, MIDDLE | MIXED),
    ("lite0", "plain_kd"): (*RATES, MIDDLE | {"temperature.start": 2.0}),
    ("lite0", "tdmr"): (*RATES[:2], MIDDLE | LOGITS_ALONE, RATES[1] | LOGITS_ALONE),
    ("lite0", "frozen_target"): ({},),
}
"""Configurations to choose from, by target and method."""
WITHOUT: dict[str, Overrides] = {
    "committee": {},
    "discriminant": {"mapping.kind": "linear"},
    "pseudo_labels": {"pseudo_labels.rounds": 0},
    "new_views": {"outputs.view_averaging": 0.0},
    "alignment": {"distill.alignment_weight": 0.0},
    "labels": {"distill.labels_weight": 0.0},
    "labels_first": {"distill.learn_first": "teacher"},
}
"""What is taken from TDMR for the part of each ingredient."""
LONG, LONG_METHODS = 4, ("plain_kd", "tdmr")
"""Factor on the steps of the methods that are also trained longer."""
ABLATION_SEEDS = 3
ABLATED = {
    "small": (("elpv4_20", "script_5"), [name for name in WITHOUT if name != "labels_first"]),
    "lite0": (("elpv4_20", "clipart_10"), ["labels_first"]),
}
"""Cells and ingredients of which one is left out, by target."""


@dataclass(frozen=True)
class Job:
    """A planned run."""

    cell: str
    target: str
    method: str
    seed: int
    overrides: Overrides
    tuning: bool = False
    without: str = ""

    def __str__(self) -> str:
        """Return a name for messages."""
        kind = "tuning " if self.tuning else ""
        without = f" without {self.without}" if self.without else ""
        return f"{kind}{self.cell} {self.target}, {self.method}{without}, seed {self.seed}, {self.overrides}"

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        recipe = TDMR[self.target] if self.base_method == "tdmr" else {}
        removed, cell = WITHOUT.get(self.without, {}), CELLS[self.cell]
        sizes = [NETWORKS[name].get("image_px") for name in self.foundations]
        return hash_json([asdict(self), self.steps, BATCH_SIZE[cell.kind], recipe, removed, self.foundations, sizes])

    @property
    def foundations(self) -> tuple[str, ...]:
        """Names of the foundations that take part."""
        if self.base_method not in WITH_FOUNDATION:
            return ()
        members = CELLS[self.cell].foundations
        return members if self.base_method == "tdmr" and self.without != "committee" else members[:1]

    @property
    def base_method(self) -> str:
        """The method, however long it trains."""
        return self.method.removesuffix("_long")

    @property
    def steps(self) -> int:
        """Optimisation steps; tuning has half of them, and a long run four times as many."""
        steps = STEPS[self.target, CELLS[self.cell].kind]
        if self.tuning:
            return steps // 2
        return steps * LONG if self.method.endswith("_long") else steps

    @property
    def config(self) -> TrialConfig:
        """The whole configuration."""
        cell = CELLS[self.cell]
        task = resident_task(data_of(cell, self.seed, tuning=self.tuning))
        ours_takes_part = self.base_method == "tdmr"
        networks = [NETWORKS[name] for name in self.foundations]
        values: Overrides = {
            "data": data_of(cell, self.seed, tuning=self.tuning).model_dump(mode="json"),
            "target": TARGETS[self.target],
            "seed": self.seed,
        }
        if networks:
            values["foundation"] = networks[0] if len(networks) == 1 else {"members": networks}
        recipe = TDMR[self.target] | WITHOUT.get(self.without, {}) if ours_takes_part else {}
        if ours_takes_part and not cell.unlabeled:
            recipe |= {"pseudo_labels.rounds": 0}
        config = TrialConfig().with_values({**values, **recipe})
        if self.base_method in CONTROLS:
            config = CONTROLS[self.base_method]().configure(config, task, self.steps)
        batches = {"distill.batch_size": BATCH_SIZE[cell.kind]}
        return with_steps(config.with_values({**batches, **self.overrides}), task, self.steps)


RowsOf = Callable[[list[Job]], list[Row]]
"""Runs jobs, or looks up their finished rows."""


def data_of(cell: Cell, seed: int, *, tuning: bool) -> DataConfig:
    """Return the images of a run."""
    folder = ASSETS / "sets" / cell.data
    return DataConfig(
        name=cell.data if cell.kind == "writing" else str(folder),
        image_px=cell.image_px,
        shots=cell.shots,
        unlabeled=cell.unlabeled,
        split_seed=TUNING_SPLIT if tuning else 0,
        draw=seed,
    )


@cache
def _base(data: DataConfig) -> Task:
    return load_task(data)


@cache
def resident_task(data: DataConfig) -> Task:
    """Return a task, which stays in memory."""
    return load_task(data, known=_base(data.base))


def stored_features(config: TrialConfig, task: Task) -> Features:
    """Return features of the foundation; each view is computed once for all runs and kept in assets/features."""
    networks = []
    for each in one_network_each(config):
        parts = []
        for number, key in zip(view_numbers(each), features_keys(each, task), strict=True):
            folder = ASSETS / "features" / key
            if not folder.exists():
                folder.parent.mkdir(parents=True, exist_ok=True)
                with TemporaryDirectory(dir=folder.parent) as written:
                    save_view(compute_view(each, task, number), Path(written))
                    copytree(written, folder)
            parts.append(load_view(folder))
        networks.append(parts)
    return Features(networks)


def provide(config: TrialConfig, task: Task) -> TeacherArtifact:
    """Make a trial's teacher from stored features."""
    return make_teacher(config, task, features_of=stored_features)


def store_features(cell: str, network: str, tuning: bool) -> str:
    """Compute the features of one foundation for a cell."""
    torch.set_num_threads(1)
    started = perf_counter()
    data = data_of(CELLS[cell], TUNING_SEED if tuning else 1, tuning=tuning)
    config = TrialConfig().with_values({"data": data.model_dump(mode="json"), "foundation": NETWORKS[network]})
    stored_features(config, resident_task(data))
    return f"features of {network} for {cell}{' (tuning)' if tuning else ''}: {perf_counter() - started:.0f} s"


def tuning_jobs(target: str, method: str, kind: str) -> list[Job]:
    """Return the runs that choose a method's configuration."""
    return [
        Job(TUNED_ON[target, kind], target, method, TUNING_SEED, overrides, tuning=True)
        for overrides in TRIED[target, method]
    ]


def choose(target: str, kind: str, rows_of: RowsOf) -> dict[str, Overrides]:
    """Return each method's configuration that was best on val; the first one while nothing has run."""
    methods = [method for of_target, method in TRIED if of_target == target]
    jobs = {method: tuning_jobs(target, method, kind) for method in methods}
    rows_of([job for several in jobs.values() if len(several) > 1 for job in several])
    return {method: _best(several, rows_of) for method, several in jobs.items()}


def _best(jobs: list[Job], rows_of: RowsOf) -> Overrides:
    rows = {row["key"]: row["val_top1"] for row in (rows_of(jobs) if len(jobs) > 1 else [])}
    return max(jobs, key=lambda job: rows.get(job.key, 0.0)).overrides


def measuring_jobs(chosen: Mapping[tuple[str, str], Mapping[str, Overrides]]) -> Iterator[Job]:
    """Yield all measured runs, one seed of all targets and cells after the other: finished ones can be compared."""
    for seed in range(1, max(SEEDS.values()) + 1):
        for target in (target for target, count in SEEDS.items() if seed <= count):
            for name, cell in CELLS.items():
                for method, overrides in chosen.get((target, cell.kind), {}).items():
                    if not cell.methods or method in cell.methods:
                        yield Job(name, target, method, seed, overrides)
    for seed in range(1, ABLATION_SEEDS + 1):
        for target, (cells, ingredients) in ABLATED.items():
            for name in (name for name in cells if (target, CELLS[name].kind) in chosen):
                settings = chosen[target, CELLS[name].kind]
                yield from (Job(name, target, "tdmr", seed, settings["tdmr"], without=each) for each in ingredients)
    for seed in range(1, ABLATION_SEEDS + 1):
        for name in (name for name in ABLATED["small"][0] if ("small", CELLS[name].kind) in chosen):
            settings = chosen["small", CELLS[name].kind]
            yield from (Job(name, "small", f"{method}_long", seed, settings[method]) for method in LONG_METHODS)


def run_job(job: Job) -> Row:
    """Train on one core, measure and return the row."""
    torch.set_num_threads(1)
    config = job.config
    task = resident_task(config.data)
    started = perf_counter()
    curve: list[float] = []

    def add(metrics: Metrics) -> None:
        curve.append(round(metrics["val/top1"], 4))

    outcome = fit(config, task, add, provider=provide, read_test=True)
    assert outcome.test is not None, "every cell has a test split"
    right = outcome.test.logits.argmax(dim=1) == outcome.test.labels
    return {
        **asdict(job),
        "steps": job.steps,
        "val_top1": outcome.metrics["val/top1"],
        "test_top1": outcome.metrics["test/top1"],
        "teacher_val_top1": outcome.artifact.val_top1 if outcome.artifact else None,
        "num_test": len(right),
        "right": np.packbits(right.numpy()).tobytes().hex(),
        "curve": curve[:: max(1, len(curve) // 10)],
        "seconds": round(perf_counter() - started, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _features_due(cells: Iterable[str], *, tuning: bool) -> list[tuple[str, str, bool]]:
    """Return the features to compute, once for cells that differ only in their number of labels."""
    seen, due = set(), []
    for name in cells:
        for network in CELLS[name].foundations:
            if (CELLS[name].data, network) not in seen:
                seen.add((CELLS[name].data, network))
                due.append((name, network, tuning))
    return due


def main(
    runs: Annotated[Path, typer.Option(help="file of finished runs, one line each")] = RUNS,
    workers: Annotated[int, typer.Option(min=1, help="processes, one core each")] = os.cpu_count() or 1,
    report: Annotated[bool, typer.Option("--report", help="run nothing, report finished runs")] = False,
    targets: Annotated[str, typer.Option(help="targets, separated by commas")] = ",".join(TARGETS),
    cells: Annotated[str, typer.Option(help="cells, separated by commas")] = ",".join(CELLS),
) -> None:
    """Tune, measure and report; Ctrl-C loses only the runs in progress."""

    def rows_of(jobs: list[Job]) -> list[Row]:
        return finished(jobs, runs) if report else run_missing(jobs, run_job, runs, workers)

    wanted = [CELLS[name] for name in cells.split(",")]
    pairs = {(target, cell.kind) for cell in wanted for target in cell.targets if target in targets.split(",")}
    if not report:
        tuned = {TUNED_ON[pair] for pair in pairs}
        due = _features_due(sorted(tuned), tuning=True) + _features_due(cells.split(","), tuning=False)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for line in pool.map(store_features, *zip(*due, strict=True)):
                print(line, flush=True)
    chosen = {pair: choose(*pair, rows_of) for pair in sorted(pairs)}
    jobs = [job for job in measuring_jobs(chosen) if job.cell in cells.split(",")]
    write_report(rows_of(jobs), chosen, runs.parent)


if __name__ == "__main__":
    typer.run(main)
