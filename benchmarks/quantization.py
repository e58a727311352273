"""Compare int8 files made after training with those made after quantisation-aware distillation.

Run:    python benchmarks/quantization.py            (run it again after an interruption: finished runs are kept)
        python benchmarks/quantization.py --only digits --seeds 2
Needs:  the extra `devices`; for clip art and fashion the assets of `real_assets.sh`.
Cost:   1 to 15 minutes a run on one idle core, mostly for the images of 96 px.
Result: results/quantization.json and .md; every run is a line of results/quantization.jsonl.

A run trains one network, writes the int8 files of ONNX Runtime and LiteRT before and after quantisation-aware
distillation, and classifies all images of val and of test with them. A seed draws initial weights; clip art has two
splits instead, since its classifier is fitted in closed form. `by TDMR` is also distilled with the stored outputs of
its teacher. Nothing was chosen on the splits that are reported: the learning rates come from `data.split_seed` 7.

Limits: two seeds say little about differences of a point. `minimal` stands for a network without squeeze-excite and
hard-swish. No network is larger than EfficientNet-Lite0. The files ran on this machine's CPU.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, keep
from benchmarks.resumable import Row, finished, run_missing
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Images, Task
from tdmr_ray.deploy.batches import in_batches
from tdmr_ray.deploy.calibration import calibrate
from tdmr_ray.deploy.check_images import check_images_of
from tdmr_ray.deploy.formats import FORMATS, Conversion
from tdmr_ray.deploy.graph import DeployedGraph
from tdmr_ray.deploy.quantization_aware import train_aware
from tdmr_ray.deploy.quiet import quiet
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.fit import fit
from tdmr_ray.training.steps import with_steps
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher
from tdmr_ray.training.teacher_outputs import TeacherOutputs

NAME, STEPS, MAX_SEEDS, RUNTIMES = "quantization", 600, 9, ("onnx", "litert")
ASSETS = Path(__file__).parents[1] / "assets"
SETS: dict[str, dict[str, Any]] = {
    "digits": {"data.name": "digits"},
    "fashion": {"data.name": str(ASSETS / "sets" / "fashion"), "data.image_px": 32},
    "clip art": {"data.name": str(ASSETS / "sets" / "clipart"), "data.image_px": 96},
}
NETWORKS = ("mobilenetv3_small_050", "mobilenetv3_small_100", "tf_mobilenetv3_small_minimal_100", "efficientnet_lite0")
PRETRAINED = {
    "method": "frozen_target",
    "target.name": "tf_efficientnet_lite0",
    "target.weights": str(ASSETS / "lite0.safetensors"),
}
HEAD = "| network | images | seeds | runtime | fp32 val | post val | aware val | fp32 test | post test | aware test |"


@dataclass(frozen=True)
class Job:
    """One training with its files.

    Attributes:
        name: Network and images, for the table.
        seed: Number of the run.
        settings: The trial, by dotted names.
    """

    name: str
    seed: int
    settings: Mapping[str, Any]

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        return hash_json([self.name, self.seed])

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


def plan(seeds: int, only: str) -> list[Job]:
    """Return the runs, seed by seed."""
    jobs = []
    for seed in range(1, seeds + 1):
        scratch = {"method": "scratch", "seed": seed}
        for images in ("digits", "fashion"):
            for network in NETWORKS:
                jobs.append(Job(f"{network}, {images}", seed, {**scratch, **SETS[images], "target.name": network}))
        tdmr = {**SETS["digits"], "seed": seed, "target.name": "mobilenetv3_small_050"}
        jobs.append(Job("mobilenetv3_small_050 by TDMR, digits", seed, tdmr))
        hard = {**scratch, **SETS["clip art"], "target.name": "mobilenetv3_small_100"}
        jobs.append(Job("mobilenetv3_small_100, clip art", seed, hard))
        drawn = {**SETS["clip art"], "data.split_seed": seed - 1}
        jobs.append(Job("tf_efficientnet_lite0 from ImageNet, clip art", seed, {**PRETRAINED, **drawn}))
    return [job for job in jobs if only in job.name]


def run(job: Job) -> Row:
    """Train a network, write its files, and classify val and test with each."""
    torch.set_num_threads(1)
    config = TrialConfig().with_values(dict(job.settings))
    task = load_task(config.data)
    config = with_steps(config, task, STEPS)
    started = perf_counter()
    model, teacher = trained(config, task)
    trained_s = perf_counter() - started
    calibration = check_images_of(task).calibration
    started = perf_counter()
    graphs = {"post": DeployedGraph(model).eval(), "aware": train_aware(model, task, calibration)}
    aware_s = perf_counter() - started
    if teacher is not None:
        graphs["teacher"] = train_aware(model, task, calibration, teacher=teacher)
    accuracy: dict[str, float] = {}
    for split, images in (("val", task.val), ("test", task.test)):
        own = np.concatenate([model.classify(part.numpy()) for part in images.images.split(32)])
        accuracy[f"fp32.{split}"] = _accuracy(own, images)
    for runtime in RUNTIMES:
        for way, graph in graphs.items():
            accuracy |= accuracy_of_file(runtime, way, graph, calibration, task)
    counts = {"num_train": len(task.train), "num_val": len(task.val), "num_test": len(task.test)}
    times = {"trained_s": trained_s, "aware_s": aware_s}
    return {"key": job.key, "name": job.name, "seed": job.seed, **counts, **times, "accuracy": accuracy}


def trained(config: TrialConfig, task: Task) -> tuple[SmallModel, TeacherOutputs | None]:
    """Return a model with its temperature, and its teacher's stored outputs if it had a teacher."""
    made: list[TeacherArtifact] = []

    def provide(config: TrialConfig, task: Task) -> TeacherArtifact:
        made.append(make_teacher(config, task))
        return made[-1]

    outcome = fit(config, task, lambda _: None, read_test=False, provider=provide)
    assert outcome.target is not None, "the method has a target"
    size_px = task.target_px(config.target.input_px)
    model = SmallModel(outcome.target.eval(), task.class_names, size_px, task.input_format, config, outcome.metrics)
    temperature = calibrate(model, task.val).temperature
    model = SmallModel(model.target, model.class_names, size_px, task.input_format, config, temperature=temperature)
    return model, made[0].outputs if made else None


def accuracy_of_file(
    runtime: str, way: str, graph: DeployedGraph, calibration: NDArray[np.uint8], task: Task
) -> dict[str, float]:
    """Write an int8 file; return its accuracy on val and test by name."""
    form = FORMATS[runtime]
    with TemporaryDirectory() as folder, quiet():
        path = Path(folder) / f"target{form.suffix}"
        form.write(Conversion(graph, 1, calibration, {}), "int8", path)
        runner = form.open(path, threads=1)
        assert runner is not None, "both runtimes are installed"
        return {
            f"{runtime}.{way}.{split}": _accuracy(in_batches(runner, pixels_of(images), 1), images)
            for split, images in (("val", task.val), ("test", task.test))
        }


def pixels_of(images: Images) -> NDArray[np.uint8]:
    """Return images as files take them, [N, px, px, 3]."""
    return np.ascontiguousarray(images.images.permute(0, 2, 3, 1).numpy())


def _accuracy(probabilities: NDArray[np.float32], images: Images) -> float:
    return float((probabilities.argmax(axis=1) == images.labels.numpy()).mean())


def report(rows: list[Row]) -> None:
    """Write the table, with means over seeds in percent."""
    lines = [HEAD, "|" + "---|" * 10]
    figures: dict[str, float] = {}
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        means = {key: 100 * float(np.mean([row["accuracy"][key] for row in own])) for key in own[0]["accuracy"]}
        for runtime in RUNTIMES:
            for way in ("aware", "teacher"):
                if f"{runtime}.{way}.val" not in means:
                    continue
                shown = [
                    means[key]
                    for split in ("val", "test")
                    for key in (f"fp32.{split}", f"{runtime}.post.{split}", f"{runtime}.{way}.{split}")
                ]
                network, images = name.split(", ")
                label = network if way == "aware" else f"{network}, from its teacher's outputs"
                cells = " | ".join(f"{value:.1f}" for value in shown)
                lines.append(f"| {label} | {images} | {len(own)} | {runtime} | {cells} |")
        figures |= {f"{name}.{key}": value for key, value in means.items()}
        share = float(np.mean([row["aware_s"] / row["trained_s"] for row in own]))
        figures[f"{name}.aware_time_over_training"] = share
    keep(NAME, lines, figures)
    print("\n".join(lines))


def main(
    seeds: Annotated[int, typer.Option(help="runs of each network")] = 2,
    only: Annotated[str, typer.Option(help="part of the names of the runs")] = "",
    workers: Annotated[int, typer.Option(help="processes")] = 1,
) -> None:
    """Train, quantise, measure and report all that has finished."""
    path = FOLDER / f"{NAME}.jsonl"
    run_missing(plan(seeds, only), run, path, workers)
    report(finished(plan(MAX_SEEDS, ""), path))


if __name__ == "__main__":
    typer.run(main)
