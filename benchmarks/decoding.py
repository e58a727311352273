"""Measure how fast a folder of the user's images is decoded, and with how much memory.

Run:    python benchmarks/decoding.py                (--large 0 leaves the large set out)
Cost:   about 6 minutes, 3 GB of disk and 2 GB of memory on 2 cores.
Result: results/decoding.json and .md.

The images are generated JPEGs of mixed sizes. `plain` is a loop over Pillow, one image after the other, with the same
final size. `ours` reads and scales the images and writes them into the memory-mapped array that all trials share.
`again` is the time until the next search on the same images has opened them. The large set is decoded by a process that
is limited to 1.5 GB of anonymous memory.
"""

import resource
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.images import make_images
from benchmarks.results_file import show_and_keep
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.decoded import decode_task, open_task, task_key
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.runner.periodic import periodic_task

NAME = "decoding"
SIZE_PX, LARGE_PX = 224, 128
SIDES_PX, LARGE_SIDES_PX = (400, 1200), (60, 160)
LIMIT_BYTES = 1_500_000_000


def plain_loop(root: Path) -> int:
    """Decode with Pillow alone and return the number of images."""
    images = []
    for path in sorted(root.rglob("*.jpg")):
        with Image.open(path) as image:
            images.append(np.asarray(image.convert("RGB").resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR)))
    return len(np.stack(images))


def own_memory() -> int:
    """Return the anonymous memory of this process in bytes, without mapped files."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def decode_large(root: Path, out: Path) -> tuple[float, int]:
    """Return the seconds and the peak of anonymous memory in bytes, which is limited to `LIMIT_BYTES`."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    seen, started = [own_memory()], perf_counter()
    with periodic_task(lambda: seen.append(own_memory()), 0.2):
        decode_task(DataConfig(name=str(root), image_px=LARGE_PX), out)
    return perf_counter() - started, max(seen)


def open_again(config: DataConfig, folder: Path) -> float:
    """Return the seconds until a fresh process has listed the files and opened the decoded images."""
    started = perf_counter()
    task_key(config)
    open_task(folder)
    return perf_counter() - started


def new_process() -> ProcessPoolExecutor:
    """Return a pool with one fresh process."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def main(
    count: Annotated[int, typer.Option(min=100)] = 1500,
    large: Annotated[int, typer.Option(min=0, help="Images of the large set.")] = 50_000,
) -> None:
    """Measure, print and keep the figures."""
    figures: dict[str, float | Estimate] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root, out = make_images(Path(scratch) / "images", count, SIDES_PX), Path(scratch) / "decoded"
        out.mkdir()
        config = DataConfig(name=str(root), image_px=SIZE_PX)
        started = perf_counter()
        plain_loop(root)
        plain_s = perf_counter() - started
        started = perf_counter()
        decode_task(config, out)
        ours_s = perf_counter() - started
        figures = {"plain_images_per_s": count / plain_s, "ours_images_per_s": count / ours_s}
        with new_process() as elsewhere:
            figures["again_s"] = again_s = elsewhere.submit(open_again, config, out).result()
    lines = [
        f"{count} JPEGs with sides of {SIDES_PX[0]} to {SIDES_PX[1]} px, to {SIZE_PX} px:",
        "",
        "| | images/s |",
        "|---|--:|",
        f"| plain | {count / plain_s:.0f} |",
        f"| ours | {count / ours_s:.0f} |",
        "",
        f"again: {again_s:.2f} s.",
    ]
    if large:
        with tempfile.TemporaryDirectory() as scratch:
            root, out = make_images(Path(scratch) / "images", large, LARGE_SIDES_PX), Path(scratch) / "decoded"
            out.mkdir()
            with new_process() as elsewhere:
                seconds, most = elsewhere.submit(decode_large, root, out).result()
            array_gb = sum(path.stat().st_size for path in out.iterdir()) / 1e9
        figures |= {"large_images_per_s": large / seconds, "large_own_memory_gb": most / 1e9}
        lines.append(
            f"{large} images to {LARGE_PX} px, {array_gb:.1f} GB on disk: {seconds:.0f} s, and at most "
            f"{most / 1e9:.2f} GB of anonymous memory."
        )
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
