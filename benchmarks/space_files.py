"""Check that the space files for large foundations run as they are: two trials of each, with small random networks.

Run:    python benchmarks/space_files.py             (--only swin for files with "swin" in their name)
Cost:   8 minutes on 2 cores.
Result: results/space_files.json and .md.

Each file runs through the command line, offline. timm loads the foundations and targets by name from a generated copy
of the hub's cache. Weights are random, foundations have few channels and layers (`tiny/`), and the images are noise of
96 px, so that two cores suffice. This shows that a file runs, and nothing about accuracy or cost. `my_images` is also
confirmed, with one seed and all its controls; the others end after the search.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.images import make_images
from benchmarks.local_hub import make_hub
from benchmarks.results_file import show_and_keep
from benchmarks.tiny.sitecustomize import make_tiny
from tdmr_ray.ledger import Ledger
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.space.reading import read_space

NAME = "space_files"
ROOT = Path(__file__).parents[1]
FILES = ("dinov2_mobile", "clip_mobile", "convnext_mobile", "swin_mobile", "mixed_pairs", "my_images")
CONFIRMED = "my_images"
NUM_IMAGES, NUM_CLASSES, SIDES_PX = 60, 3, (200, 600)
NUM_TRIALS, NUM_EPOCHS, CONTROL_STEPS = 2, 4, 8
SMALL = {
    "budget.epochs": NUM_EPOCHS,
    "reprogram.epochs": 1,
    "outputs.num_views": 1,
    "resources.cpu": 1,
    "data.image_px": 96,
}
CONFIRMATION = {"confirm.top": 1, "confirm.seeds": "[0]", "confirm.steps": CONTROL_STEPS}


@dataclass(frozen=True)
class Run:
    """Time of a file, and the number of trials by phase and state."""

    num_pairs: int
    seconds: float
    states: Counter[tuple[str, str]]

    def describe(self, phase: str) -> str:
        """Return text such as '2 complete', or '-' if the phase has no trials."""
        found = [f"{count} {state}" for (of, state), count in sorted(self.states.items()) if of == phase]
        return ", ".join(found) or "-"


def run_file(file: str, images: Path, folder: Path) -> Run:
    """Run two trials of a space file with a generated hub cache."""
    path = ROOT / "search_spaces" / f"{file}.yaml"
    space = read_space(path, {"data.name": str(images)})
    foundations = [part.name for part in space.pairs.by_label.values()]
    make_hub(folder, (*foundations, *space.pairs.by_name))
    pins = {"data.name": images, **SMALL, **(CONFIRMATION if file == CONFIRMED else {"confirm.top": 0})}
    command = [sys.executable, "-m", "tdmr_ray.search", "--space", str(path), "--trials", str(NUM_TRIALS)]
    command += ["--out", f"{folder}/out", "--store", f"{folder}/store"]
    command += [text for key, value in pins.items() for text in ("--set", f"{key}={value}")]
    started = time.monotonic()
    paths = os.pathsep.join([str(ROOT / "benchmarks" / "tiny"), str(ROOT)])
    subprocess.run(command, stdout=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, check=True)
    seconds = time.monotonic() - started
    records = Ledger(folder / "out" / "records.jsonl").read()
    states = Counter((record.phase, record.state) for record in records)
    return Run(len(foundations) * len(space.pairs.targets), seconds, states)


def main(only: Annotated[str, typer.Option(help="Text in the name.")] = "") -> None:
    """Run each file, print and keep the figures."""
    make_tiny()
    figures: dict[str, float | Estimate] = {}
    lines = [
        f"{NUM_IMAGES} generated JPEGs of {NUM_CLASSES} classes, small random foundations under the names of the large "
        f"ones, {NUM_TRIALS} trials of {NUM_EPOCHS} epochs:",
        "",
        "| file | pairs in it | trials | confirmation | seconds |",
        "|---|--:|---|---|--:|",
    ]
    for file in (each for each in FILES if only in each):
        with tempfile.TemporaryDirectory() as scratch:
            images = make_images(Path(scratch) / "images", NUM_IMAGES, SIDES_PX, NUM_CLASSES)
            run = run_file(file, images, Path(scratch))
        outcome = f"{run.describe('search')} | {run.describe('confirm')}"
        lines.append(f"| {file} | {run.num_pairs} | {outcome} | {run.seconds:.0f} |")
        figures[f"{file}_s"] = run.seconds
        print(lines[-1], flush=True)
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
