"""Export small models to all formats and precisions, and measure each file on val.

Run:    python benchmarks/exported_files.py         (needs the extra `devices`)
Assets: the clip art and the weights of `real_images.py`, for one of the models.
Cost:   about 20 minutes on one idle core, half of it for ExecuTorch.
Result: results/exported_files.json and .md.

Three networks learn digits from random weights: mobilenetv3_small_100, the same without squeeze-excite and hard-swish
(tf_mobilenetv3_small_minimal_100), and efficientnet_lite0, which has neither. A fourth is EfficientNet-Lite0 with
ImageNet weights and a classifier fitted to clip art. Every file runs on val in its own runtime, one image at a time on
one core.

Limits: one training each, so differences of a point are chance. Nothing ran on a phone; latencies are those of this
machine's CPU. Core ML is converted and not run.
"""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import keep
from tdmr_ray.data.loading import load_task
from tdmr_ray.deploy.artifact import Artifact
from tdmr_ray.deploy.calibration import calibrate
from tdmr_ray.deploy.exporting import Failure, export_model
from tdmr_ray.deploy.formats import FORMATS
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.steps import with_steps

NAME, STEPS = "exported_files", 600
ASSETS = Path(__file__).parents[1] / "assets"
DIGITS = {"data.name": "digits", "method": "scratch"}
MODELS: dict[str, dict[str, Any]] = {
    "mobilenetv3_small_100, digits": {**DIGITS, "target.name": "mobilenetv3_small_100"},
    "tf_mobilenetv3_small_minimal_100, digits": {**DIGITS, "target.name": "tf_mobilenetv3_small_minimal_100"},
    "efficientnet_lite0, digits": {**DIGITS, "target.name": "efficientnet_lite0"},
    "tf_efficientnet_lite0 from ImageNet, clip art": {
        "method": "frozen_target",
        "data.name": str(ASSETS / "sets" / "clipart"),
        "data.image_px": 96,
        "target.name": "tf_efficientnet_lite0",
        "target.weights": str(ASSETS / "lite0.safetensors"),
    },
}
COMBINATIONS = [(name, precision) for name, form in FORMATS.items() for precision in form.precisions]
HEAD = "| model | format | precision | size, MB | val, % | same class, % | median, ms | p95, ms | opened in, ms |"


def trained(settings: dict[str, Any]) -> tuple[SmallModel, Any]:
    """Train a model, calibrate it on val, and return it with its task."""
    config = TrialConfig().with_values(settings)
    task = load_task(config.data)
    if config.method == "scratch":
        config = with_steps(config, task, STEPS)
    outcome = fit(config, task, lambda _: None, read_test=False)
    assert outcome.target is not None, "the method has a target"
    size_px = task.target_px(config.target.input_px)
    model = SmallModel(outcome.target.eval(), task.class_names, size_px, task.input_format, config, outcome.metrics)
    return replace(model, temperature=calibrate(model, task.val).temperature), task


def line(model: str, found: Artifact | Failure) -> str:
    """Return a row of the table."""
    if isinstance(found, Failure):
        return f"| {model} | {found.format} | {found.precision} | {found.reason} | | | | | |"
    size = f"| {model} | {found.format} | {found.precision} | {found.size_bytes / 1e6:.2f} |"
    if found.top1 is None or found.agreement is None:
        return f"{size} not run here | | | | |"
    times = [*(() if found.latency is None else (found.latency.median_ms, found.latency.p95_ms)), found.start_ms]
    return (
        f"{size} {100 * found.top1:.1f} | {100 * found.agreement:.1f} | "
        + " | ".join(f"{value:.2f}" for value in times if value is not None)
        + " |"
    )


def figures_of(model: str, found: Artifact) -> dict[str, float]:
    """Return the figures of a file by name."""
    values = {
        "size_mb": found.size_bytes / 1e6,
        "val": found.top1,
        "agreement": found.agreement,
        "latency_ms": found.latency.median_ms if found.latency else None,
        "peak_mb": found.peak_mb,
    }
    start = f"{model.partition(',')[0].split()[0]}.{found.format}.{found.precision}"
    return {f"{start}.{key}": value for key, value in values.items() if value is not None}


def main(models: Annotated[str, typer.Option(help="part of the names of the models")] = "") -> None:
    """Train, export, measure and report."""
    torch.set_num_threads(1)
    rows, figures = [HEAD, "|" + "---|" * 9], {}
    for name, settings in MODELS.items():
        if models not in name:
            continue
        model, task = trained(settings)
        with TemporaryDirectory() as folder:
            for found in export_model(model, Path(folder), COMBINATIONS, task=task, max_loss=1.0):
                rows.append(line(name, found))
                print(rows[-1], flush=True)
                if isinstance(found, Artifact):
                    figures |= figures_of(name, found)
            keep(NAME, rows, figures)


if __name__ == "__main__":
    typer.run(main)
