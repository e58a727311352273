"""Measure what views cost: those of photographs and of documents against the views of an earlier revision.

Run:    python benchmarks/views_speed.py                (--before REV: the revision that is compared with)
Cost:   1 minute on one core; other work on the machine does little harm.
Result: results/views_speed.json and .md.

One thread makes batches of 64 views of every kind in turn, in one process, and its CPU time is measured, which other
processes disturb less than the clock. A ratio is taken within each round; 1.3 is the most that views of photographs
should cost.
"""

import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from time import process_time
from types import ModuleType
from typing import Annotated, Any

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import name_revision, open_worktree
from benchmarks.results_file import show_and_keep
from tdmr_ray.data.views import PRESETS, Views
from tdmr_ray.report.statistics import Estimate, estimate

NAME = "views_speed"
BEFORE = "ddfc127"
"""The last revision without presets; its views are one file, which imports nothing of the package."""
SIZES_PX = {32: 300, 96: 60, 224: 12}
"""Rounds by the side of the images."""
BATCH = 64

MakeBatch = Callable[[int], Any]
"""Makes the batch of views with a number."""


def load_views_of(checkout: Path) -> ModuleType:
    """Load a checkout's `data/views.py` under another name than today's."""
    spec = spec_from_file_location("views_before", checkout / "tdmr_ray" / "data" / "views.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{checkout} has no data/views.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def kinds_of_views(before: ModuleType, image_px: int) -> dict[str, MakeBatch]:
    """Return what is compared, over the same random images."""
    images = torch.randint(0, 256, (BATCH, 3, image_px, image_px), dtype=torch.uint8)
    rows = torch.arange(BATCH)
    sources = {
        "before": before.Views(images, before.ViewConfig(), seed=0, mirror=True),
        "document": Views(images, PRESETS["document"], seed=0),
        "photo": Views(images, PRESETS["photo"], seed=0),
    }
    return {name: lambda number, source=source: source.batch(rows, number) for name, source in sources.items()}


def seconds_of(kinds: dict[str, MakeBatch], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of a batch of each kind in each round; two rounds before the first are left out."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds + 2):
        for name, make in kinds.items():
            started = process_time()
            make(number)
            seconds[name].append(process_time() - started)
    return {name: values[2:] for name, values in seconds.items()}


def main(before: Annotated[str, typer.Option(help="Revision that is compared with.")] = BEFORE) -> None:
    """Measure, print and keep the figures."""
    torch.set_num_threads(1)
    figures: dict[str, float | Estimate] = {}
    lines = ["| px | document / before | photo / before | before, ms | photo, ms |", "|--:|--:|--:|--:|--:|"]
    with open_worktree(before) as checkout:
        module = load_views_of(checkout)
    for image_px, rounds in SIZES_PX.items():
        seconds = seconds_of(kinds_of_views(module, image_px), rounds)
        texts = []
        for name in ("document", "photo"):
            ratios = [new / old for new, old in zip(seconds[name], seconds["before"], strict=True)]
            figures[f"{name}_ratio_{image_px}px"] = ratio = estimate(ratios)
            texts.append(f"{ratio.mean:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
        old_ms, photo_ms = (1000 * estimate(seconds[name]).mean for name in ("before", "photo"))
        figures |= {f"before_ms_{image_px}px": old_ms, f"photo_ms_{image_px}px": photo_ms}
        lines.append(f"| {image_px} | {' | '.join(texts)} | {old_ms:.1f} | {photo_ms:.1f} |")
    show_and_keep(NAME, lines, figures, notes={"before": name_revision(before)})


if __name__ == "__main__":
    typer.run(main)
