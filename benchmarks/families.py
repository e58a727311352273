"""Convert mobile families of timm to every format and precision, and list what fails with which message.

Run:    nice python benchmarks/families.py          (needs the extra `devices`; continues after an interruption)
        python benchmarks/families.py --report      (only the table of what is finished)
Cost:   several minutes for each network on one core; each format runs in a process of its own.
Result: results/families.jsonl, .json and .md.

Each network has random weights and trains for 20 steps on digits of 64 px, so that its statistics are not those of an
untrained network. Files are kept whatever their accuracy, and compared with the network on 32 images of val.

Limits: accuracy after 20 steps says nothing of a family, so only the agreement with the network is listed. The int8 of
a network that was trained for longer may lose more or less. Core ML is converted and not run. One network of each
family.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Annotated, Any

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, show_and_keep
from benchmarks.resumable import Row, finished, run_missing

NAME, STEPS, IMAGE_PX, NUM_IMAGES, TIMEOUT_S = "families", 20, 64, 32, 1200
NETWORKS = {
    "MobileNetV3": "mobilenetv3_large_100",
    "MobileNetV4": "mobilenetv4_conv_small",
    "EfficientNet-Lite": "efficientnet_lite0",
    "RepViT": "repvit_m0_9",
    "MobileOne": "mobileone_s0",
    "GhostNetV2": "ghostnetv2_100",
    "FastViT": "fastvit_t8",
    "EfficientFormerV2": "efficientformerv2_s0",
    "MobileViTv2": "mobilevitv2_050",
    "EdgeNeXt": "edgenext_xx_small",
    "LeViT": "levit_128s",
    "DeiT": "deit_tiny_patch16_224",
}
FORMAT_NAMES = ("onnx", "litert", "executorch", "openvino", "coreml")


@dataclass(frozen=True)
class Job:
    """One network in one format, with all precisions.

    Attributes:
        family: Name in the table.
        network: timm's name.
        form: Name of the format.
    """

    family: str
    network: str
    form: str

    def __str__(self) -> str:
        return f"{self.family} {self.form}"

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        return sha256(f"{self.network} {self.form} {STEPS} {IMAGE_PX} {NUM_IMAGES}".encode()).hexdigest()[:16]


JOBS = [Job(family, network, form) for form in FORMAT_NAMES for family, network in NETWORKS.items()]
"""One format after the other, so that an interrupted run has whole columns."""


def run_job(job: Job) -> Row:
    """Convert in a process of its own, which may crash or hang."""
    command = [sys.executable, __file__, "--one", f"{job.network}:{job.form}"]
    row = {"family": job.family, "network": job.network, "format": job.form, "val_top1": 0.0}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return row | {"error": f"took longer than {TIMEOUT_S} s", "files": []}
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"precision"')]
    error = "" if done.returncode == 0 else f"process ended with {done.returncode}: {_last_line(done.stderr)}"
    return row | {"error": error, "files": lines, "traceback": "Traceback" in done.stderr}


def _last_line(text: str) -> str:
    return ([line.strip() for line in text.splitlines() if line.strip()] or [""])[-1][:300]


def convert(network: str, form: str) -> None:
    """Train a network and print one JSON line for each precision of a format."""
    from tdmr_ray.deploy.check_images import CheckImages, check_images_of
    from tdmr_ray.deploy.exporting import Failure, export_model
    from tdmr_ray.deploy.formats import FORMATS
    from tdmr_ray.deploy.small_model import load_model
    from tdmr_ray.errors import InputError

    torch.set_num_threads(1)
    source = Path(gettempdir()) / "tdmr_families" / network
    if not source.exists():
        try:
            model, task = train(network)
        except InputError as error:
            for precision in FORMATS[form].precisions:
                print(json.dumps({"precision": precision, "reason": " ".join(str(error).split())}), flush=True)
            return
        found = check_images_of(task)
        some = slice(0, NUM_IMAGES)
        with TemporaryDirectory(dir=gettempdir()) as scratch:
            made = Path(scratch) / network
            model.save(made)
            CheckImages(found.split, found.pixels[some], found.labels[some], found.calibration[some]).save(made)
            source.parent.mkdir(exist_ok=True)
            if not source.exists():
                made.rename(source)
    wanted = [(form, precision) for precision in FORMATS[form].precisions]
    with TemporaryDirectory() as out:

        def show(result: Any) -> None:
            failed = isinstance(result, Failure)
            line = {"precision": result.precision, "reason": result.reason if failed else ""}
            if not failed:
                line |= {"mb": result.size_bytes / 1e6, "agreement": result.agreement, "verified": result.verified}
                line |= {"difference": result.largest_difference}
            print(json.dumps(line), flush=True)

        export_model(load_model(source), Path(out), wanted, source=source, max_loss=1.0, on_result=show)


def train(network: str) -> tuple[Any, Any]:
    """Train a network with random weights for a few steps; return the model and its images."""
    from tdmr_ray.data.loading import load_task
    from tdmr_ray.deploy.small_model import SmallModel
    from tdmr_ray.training.config import TrialConfig
    from tdmr_ray.training.fit import fit
    from tdmr_ray.training.steps import with_steps

    settings = {"data.name": "digits", "data.image_px": IMAGE_PX, "method": "scratch", "target.name": network}
    config = TrialConfig().with_values(settings)
    task = load_task(config.data)
    outcome = fit(with_steps(config, task, STEPS), task, lambda _: None, read_test=False)
    assert outcome.target is not None, "the method has a target"
    size_px = task.target_px(config.target.input_px)
    model = SmallModel(outcome.target.eval(), task.class_names, size_px, task.input_format, config, outcome.metrics)
    return replace(model, temperature=1.0), task


def table(rows: list[Row]) -> list[str]:
    """Return the table: agreement with the network in percent, or the number of a message below it."""
    from tdmr_ray.deploy.formats import FORMATS

    columns = [(name, precision) for name in FORMAT_NAMES for precision in FORMATS[name].precisions]
    found = {(row["family"], row["format"]): row for row in rows}
    messages: dict[str, int] = {}
    lines = [f"| network | {' | '.join(f'{name} {precision}' for name, precision in columns)} |"]
    lines.append("|" + "---|" * (len(columns) + 1))
    for family, network in NETWORKS.items():
        if any((family, name) in found for name in FORMAT_NAMES):
            cells = [_cell(found.get((family, name)), precision, messages) for name, precision in columns]
            lines.append(f"| {family} (`{network}`) | {' | '.join(cells)} |")
    notes = [f"{number}. {text}" for text, number in messages.items()]
    return [*lines, "", "Same class as the network on val, %; - is not tried yet.", "", *notes]


def _cell(row: Row | None, precision: str, messages: dict[str, int]) -> str:
    if row is None:
        return "-"
    file = next((each for each in row["files"] if each["precision"] == precision), None)
    reason = row["error"] if file is None else file["reason"]
    if reason:
        return f"failed ({messages.setdefault(reason, len(messages) + 1)})"
    assert file is not None, "no reason, so there is a file"
    return f"{100 * file['agreement']:.0f}" if file["verified"] else "converted"


def figures_of(rows: list[Row]) -> dict[str, float]:
    """Count files by format: tried, converted, and tracebacks that a user would have seen."""
    figures: dict[str, float] = {}
    for form in FORMAT_NAMES:
        own = [row for row in rows if row["format"] == form]
        files = [file for row in own for file in row["files"]]
        figures |= {
            f"{form}.networks": len(own),
            f"{form}.files": sum(not file["reason"] for file in files),
            f"{form}.failed": sum(bool(file["reason"]) for file in files) + sum(bool(row["error"]) for row in own),
            f"{form}.tracebacks": sum(row.get("traceback", False) for row in own),
        }
    return figures


def main(
    report: Annotated[bool, typer.Option(help="only write the table")] = False,
    workers: Annotated[int, typer.Option(help="processes")] = 1,
    one: Annotated[str, typer.Option(help="NETWORK:FORMAT, converted in this process")] = "",
) -> None:
    """Convert what is missing, and report."""
    if one:
        network, _, form = one.partition(":")
        convert(network, form)
        return
    runs = FOLDER / f"{NAME}.jsonl"
    rows = finished(JOBS, runs) if report else run_missing(JOBS, run_job, runs, workers)
    show_and_keep(NAME, table(rows), figures_of(rows))


if __name__ == "__main__":
    typer.run(main)
