"""Measure teachers, targets, packing, batching and memory on one GPU; `--tiny` checks the script on a CPU.

Run:    benchmarks/gpu.sh                   (benchmarks/gpu.sh --tiny --out FOLDER on a CPU)
Cost:   at most 10 minutes on one GPU of the H100's class.
Result: results/gpu.json and .md, and copies in the folder $OUT if that is set.

Needs torch, timm and torchvision; `benchmarks/gpu.sh wheels` downloads what else is needed, to be carried along. Ray is
not needed; only the search through Ray is left out without it. Weights are random. Every part runs in a process of its
own with a time limit. What a part has found is kept if it fails or is ended, and the results are written after each.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from benchmarks.gpu.parts import PARTS, choose_start_method, run_limited
from benchmarks.gpu.recorder import Found, as_markdown, read_lines
from benchmarks.gpu.sizes import FULL, TINY, Sizes
from benchmarks.results_file import FOLDER, keep

NAME = "gpu"
TOTAL_S = 550.0
"""Time for all parts together."""
LEAST_S = 10.0
"""A part is not begun with less time left."""


def write(found: Mapping[str, Found], statuses: Mapping[str, str], sizes: Sizes, folders: list[Path]) -> None:
    """Write what there is so far into each folder."""
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    lines = [f"# One GPU: {card}, torch {torch.__version__}", ""]
    if sizes == TINY:
        lines += ["Tiny sizes, which check the script; the figures mean nothing.", ""]
    for name, part in found.items():
        lines += as_markdown(PARTS[name].title, statuses[name], part)
    figures = {key: value for part in found.values() for key, value in part.figures.items()}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        keep(NAME, lines, figures, {"parts": dict(statuses), "tiny": sizes == TINY}, folder)


def main() -> None:
    """Run the parts one after the other."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"parts to run: {', '.join(PARTS)} [all]")
    parser.add_argument("--tiny", action="store_true", help="toy sizes, on a CPU if need be")
    parser.add_argument("--out", type=Path, help="folder of the results [benchmarks/results]")
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"parts must be among {', '.join(PARTS)}, got {', '.join(unknown)}")
    if options.tiny and options.out is None:
        parser.error("--tiny needs --out FOLDER, since its figures are no results")
    if not options.tiny and not torch.cuda.is_available():
        parser.error("there is no GPU; use --tiny --out FOLDER")
    sizes = TINY if options.tiny else FULL
    folders = [options.out or FOLDER, *([Path(os.environ["OUT"])] if os.environ.get("OUT") else [])]
    choose_start_method()
    end = perf_counter() + TOTAL_S
    found: dict[str, Found] = {}
    statuses: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as lines:
        for name in options.parts or PARTS:
            print(f"{PARTS[name].title}:", flush=True)
            limit_s = min(PARTS[name].limit_s, end - perf_counter())
            known = {key: value for part in found.values() for key, value in part.figures.items()}
            path = Path(lines) / name
            enough = limit_s >= LEAST_S
            statuses[name] = run_limited(name, path, known, sizes, limit_s) if enough else "not begun, time was up"
            found[name] = read_lines(path)
            print(f"   {statuses[name]}", flush=True)
            write(found, statuses, sizes, folders)
    print(*(folder / f"{NAME}.md" for folder in folders), sep="\n")


if __name__ == "__main__":
    main()
