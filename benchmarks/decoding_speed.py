"""Measure how fast images are decoded, against the reader of an earlier revision.

Run:    python benchmarks/decoding_speed.py                (--before REV: the revision that is compared with)
Cost:   2 minutes on one core; other work on the machine does little harm.
Result: results/decoding_speed.json and .md.

One thread decodes the same files with every reader in turn, in one process, and its CPU time is measured, which other
processes disturb less than the clock. A ratio is taken within each round: time before over time now, so that more is
faster. The files are smooth random pictures with noise, as JPEGs of 1,500 x 1,000 px and PNGs of 300 x 200 px.
"""

import sys
from collections.abc import Callable
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Annotated, Any

import numpy as np
import typer
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import name_revision, open_worktree
from benchmarks.results_file import show_and_keep
from tdmr_ray.data.reading import InputFormat, read_image
from tdmr_ray.report.statistics import Estimate, estimate

NAME = "decoding_speed"
BEFORE = "c740f21"
"""The last revision that squashed every image bilinearly."""
FILES = {"photo.jpg": (1500, 1000), "small.png": (300, 200)}
SIZES_PX = (96, 224)
ROUNDS, IMAGES = 12, 8
READERS = {
    "squash, bilinear": ("squash", "bilinear"),
    "squash": ("squash", "bicubic"),
    "crop": ("crop", "bicubic"),
    "pad": ("pad", "bicubic"),
}

Read = Callable[[Path], object]


def make_files(folder: Path) -> dict[str, list[Path]]:
    """Write a few different files of each kind; return them by kind."""
    generator = np.random.default_rng(0)
    made: dict[str, list[Path]] = {name: [] for name in FILES}
    for name, (width, height) in FILES.items():
        for number in range(IMAGES):
            coarse = Image.fromarray(generator.integers(0, 256, (8, 12, 3), dtype=np.uint8))
            picture = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
            noisy = picture + generator.integers(-20, 20, (height, width, 1), dtype=np.int16)
            path = folder / f"{number}-{name}"
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
            made[name].append(path)
    return made


def load_reader(checkout: Path) -> Any:
    """Load a checkout's `data/reading.py` under another name than today's; return its `read_square`."""
    spec = spec_from_file_location("reading_before", checkout / "tdmr_ray" / "data" / "reading.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{checkout} has no data/reading.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.read_square


def seconds_of(readers: dict[str, Read], paths: list[Path]) -> dict[str, list[float]]:
    """Return the CPU seconds for all files with each reader in each round; the first round is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(ROUNDS + 1):
        for name, read in readers.items():
            started = process_time()
            for path in paths:
                read(path)
            seconds[name].append(process_time() - started)
    return {name: values[1:] for name, values in seconds.items()}


def main(before: Annotated[str, typer.Option(help="Revision that is compared with.")] = BEFORE) -> None:
    """Measure, print and keep the figures."""
    figures: dict[str, float | Estimate] = {}
    lines = ["| file | px | before, images/s | " + " | ".join(READERS) + " |", "|---|--:|--:|" + "--:|" * len(READERS)]
    with open_worktree(before) as checkout, TemporaryDirectory() as folder:
        read_square = load_reader(checkout)
        for kind, paths in make_files(Path(folder)).items():
            for size_px in SIZES_PX:
                readers: dict[str, Read] = {"before": partial(read_square, size_px=size_px)}
                for name, (resize, interpolation) in READERS.items():
                    form = InputFormat(size_px, resize, interpolation)  # type: ignore[arg-type]  # literals
                    readers[name] = partial(read_image, form=form)
                seconds = seconds_of(readers, paths)
                speed = len(paths) / estimate(seconds["before"]).mean
                figures[f"before_per_s_{kind}_{size_px}px"] = speed
                cells = []
                for name in READERS:
                    ratios = [old / new for old, new in zip(seconds["before"], seconds[name], strict=True)]
                    figures[f"{name}_{kind}_{size_px}px"] = ratio = estimate(ratios)
                    cells.append(f"{ratio.mean:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
                lines.append(f"| {kind} | {size_px} | {speed:.0f} | {' | '.join(cells)} |")
    show_and_keep(NAME, lines, figures, notes={"before": name_revision(before)})


if __name__ == "__main__":
    typer.run(main)
