"""Measure time and memory of a folder with 100,000 images without labels, from listing to views.

Run:    python benchmarks/many_unlabeled.py                (--images 10000 for a quick look)
Cost:   about 10 minutes on 2 cores, 1 GB of disk in the temporary folder.
Result: results/many_unlabeled.json and .md.

The photographs are 96 px JPEGs: smooth random pictures, each stored 50 times with other noise. Making them is not
counted. Each step runs in a process of its own. It reports its largest anonymous memory (RssAnon, sampled) beside its
largest resident memory; mapped files count in the latter only, because the system can drop them at any time.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep

NAME = "many_unlabeled"
SIDE_PX, DECODED_PX = 96, 64
NUM_LABELED, NUM_CLASSES = 100, 2
COPIES = 50
"""Files of one picture, each with other noise."""
SAMPLE_S = 0.05


def make_photos(root: Path, count: int) -> None:
    """Write labelled class folders and a flat folder of `count` JPEGs without labels."""
    generator = np.random.default_rng(0)
    for number in range(NUM_CLASSES):
        _write(root / f"class{number}", NUM_LABELED, generator)
    _write(root / "unlabeled", count, generator)


def _write(folder: Path, count: int, generator: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for start in range(0, count, COPIES):
        coarse = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), np.int16)
        for number in range(start, min(start + COPIES, count)):
            noisy = picture + generator.integers(-40, 40, (SIDE_PX, SIDE_PX, 1), dtype=np.int16)
            content = BytesIO()
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(content, "JPEG", quality=85)
            (folder / f"{number:06d}.jpg").write_bytes(content.getvalue())


def decode(folder: Path, kept: Path) -> dict[str, float]:
    """List, decode into a file, and compare images; the first start of a search."""
    from tdmr_ray.data.config import DataConfig
    from tdmr_ray.data.datasets import load_dataset
    from tdmr_ray.data.decoded import decode_task, task_key

    config = DataConfig(name=str(folder), image_px=DECODED_PX)
    listing = _seconds(lambda: load_dataset(config))
    key = _seconds(lambda: task_key(config))
    return {"listing": listing, "key": key, "decode": _seconds(lambda: decode_task(config, kept))}


def reopen(folder: Path, kept: Path) -> dict[str, float]:
    """List again, open the decoded images and make views; every later start of a search."""
    import torch

    from tdmr_ray.data.config import DataConfig
    from tdmr_ray.data.decoded import open_task, task_key
    from tdmr_ray.data.views import ViewConfig, Views, resolve_views

    second = {"second_key": _seconds(lambda: task_key(DataConfig(name=str(folder), image_px=DECODED_PX)))}
    started = time.perf_counter()
    task = open_task(kept)
    second["second_open"] = time.perf_counter() - started
    views = Views(task.train.images, resolve_views(ViewConfig(), task.preset), seed=0)
    order = torch.randperm(len(views), generator=torch.Generator().manual_seed(0))[: 200 * 64]

    def make_views() -> None:
        for rows in order.split(64):
            views.batch(rows, 0)

    second["views_per_s"] = len(order) / _seconds(make_views)
    return second


STEPS = {"decode": decode, "reopen": reopen}


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def measure(step: str, folder: Path, kept: Path) -> dict[str, float]:
    """Run a step in this process; return its seconds and its largest memory in GB."""
    peak = {"RssAnon": 0.0, "VmRSS": 0.0}
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_S):
            for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition(":")
                if name in peak:
                    peak[name] = max(peak[name], int(value.split()[0]) / 1e6)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        figures = STEPS[step](folder, kept)
    finally:
        done.set()
        thread.join()
    return {**figures, f"{step}_anonymous_gb": peak["RssAnon"], f"{step}_resident_gb": peak["VmRSS"]}


def main(
    images: Annotated[int, typer.Option(help="Images without labels.")] = 100_000,
    step: Annotated[str, typer.Option(help="Internal: the step that this process runs.")] = "",
    folder: Annotated[Path | None, typer.Option(help="Internal: the photographs, and where they are decoded.")] = None,
) -> None:
    """Measure both steps and keep the figures."""
    if step and folder:
        print(json.dumps(measure(step, folder / "photos", folder / "kept")))
        return
    figures: dict[str, float] = {"images": images}
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        make_photos(root / "photos", images)
        (root / "kept").mkdir()
        for name in STEPS:
            figures |= _in_process(name, root)
    show_and_keep(NAME, render(figures), figures)


def _in_process(step: str, root: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--step", step, "--folder", str(root)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return figures


def render(figures: dict[str, float]) -> list[str]:
    """Return a Markdown table of all figures; times are in seconds."""
    lines = ["| figure | value |", "|---|--:|"]
    return lines + [f"| {name} | {value:,.2f} |" for name, value in figures.items()]


if __name__ == "__main__":
    typer.run(main)
