"""Measure what images without labels add to `search_spaces/my_images.yaml` on fashion articles.

Run:    python benchmarks/unlabeled_photos.py lay-out FASHION FOLDER
        python benchmarks/unlabeled_photos.py commands FOLDER WEIGHTS     (prints two searches; run both)
        python benchmarks/unlabeled_photos.py summarize WITH WITHOUT      (their output directories)
Cost:   the searches take about half an hour on 2 cores.
Result: results/unlabeled_photos.json and .md.

FASHION holds a folder of 500 images for each of ten classes, and WEIGHTS is EfficientNet-Lite2 with ImageNet weights.
Both come from `real_assets.sh`. FOLDER receives train/ (20 images a class, of which val is split off),
test/ (100 a class) and unlabeled/ (500 images, flat). The same search runs with and without unlabeled/, for as many
steps. One trial each means the defaults of the space, so both have the same settings. The five seeds vary initial
weights, views and order; the labelled images are the same ones for all.
"""

import json
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.api import read_results
from tdmr_ray.records import TDMR, TrialRecord
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.run_layout import DATA_SUMMARY

NAME = "unlabeled_photos"
TRAIN, TEST, UNLABELED = 20, 100, 500
EPOCHS = {"with": 60, "without": 75}
"""Epochs of 10 and 8 steps: 600 steps each."""
SEARCH = (
    "python -m tdmr_ray.search --space search_spaces/my_images.yaml --set data.name={folder} --set data.image_px=64 "
    "--set 'pairs.foundations=[{{name: tf_efficientnet_lite2, weights: {weights}, image_px: 96}}]' "
    "--set 'pairs.targets=[mobilenetv3_small_050]' --set budget.trials=1 --set budget.epochs={epochs} "
    "--set 'confirm.seeds=[0,1,2,3,4]' --set 'confirm.controls=[]' --set data.unlabeled={unlabeled} --out {out}"
)

app = typer.Typer(add_completion=False)


@app.command()
def lay_out(fashion: Path, folder: Path) -> None:
    """Copy images into train/, test/ and unlabeled/."""
    chooser = random.Random(7)
    rest: list[Path] = []
    for each in sorted(path for path in fashion.iterdir() if path.is_dir()):
        files = sorted(each.iterdir())
        chooser.shuffle(files)
        for split, chosen in {"train": files[:TRAIN], "test": files[TRAIN : TRAIN + TEST]}.items():
            target = folder / split / each.name
            target.mkdir(parents=True)
            for path in chosen:
                shutil.copy(path, target)
        rest += files[TRAIN + TEST :]
    chooser.shuffle(rest)
    (folder / "unlabeled").mkdir()
    for number, path in enumerate(rest[:UNLABELED]):
        shutil.copy(path, folder / "unlabeled" / f"{number:03d}{path.suffix}")


@app.command()
def commands(folder: Path, weights: Path) -> None:
    """Print the two searches."""
    for name, unlabeled in (("with", "null"), ("without", "false")):
        given = {"folder": folder, "weights": weights, "unlabeled": unlabeled}
        print(SEARCH.format(epochs=EPOCHS[name], out=f"runs/{NAME}_{name}", **given))


@app.command()
def summarize(
    with_unlabeled: Annotated[Path, typer.Argument(help="Output directory of the search with unlabeled/.")],
    without: Annotated[Path, typer.Argument(help="Output directory of the search without.")],
) -> None:
    """Keep the figures of both searches."""
    found = {"with": read_results(with_unlabeled).records, "without": read_results(without).records}
    tops = {
        "TDMR with unlabeled/": by_seed(found["with"]),
        "TDMR without": by_seed(found["without"]),
    }
    figures: dict[str, float | Estimate] = {}
    lines = ["| method | accuracy on test | TDMR with unlabeled/ less this |", "|---|--:|--:|"]
    first = tops["TDMR with unlabeled/"]
    for name, values in tops.items():
        figures[name] = mean = estimate(list(values.values()))
        gain = paired_difference(first, values) if values is not first else None
        if gain is not None:
            figures[f"gain over {name}"] = gain
        lines.append(f"| {name} | {_points(mean)} | {_points(gain, sign=True) if gain else ''} |")
        figures |= {f"{name}, seed {seed}": value for seed, value in values.items()}
    for name, records in found.items():
        figures[f"teacher on val, {name}"] = estimate(list(by_seed(records, "val/teacher_top1").values()))
    facts = json.loads((with_unlabeled / DATA_SUMMARY).read_text(encoding="utf-8"))
    figures["images without labels"] = facts["unlabeled"]
    show_and_keep(NAME, lines, figures)


def by_seed(records: Sequence[TrialRecord], metric: str = "test/top1") -> dict[int, float]:
    """Return a metric of the confirmed trials, by seed."""
    confirmed = [each for each in records if (each.phase, each.state, each.role) == ("confirm", "complete", TDMR)]
    return {record.seed: record.metrics[metric] for record in confirmed}


def _points(value: Estimate, *, sign: bool = False) -> str:
    form = "{:+.1f}" if sign else "{:.1f}"
    mean, *ends = (form.format(100 * each) for each in (value.mean, value.low, value.high) if each is not None)
    return f"{mean} [{', '.join(ends)}]" if ends else mean


if __name__ == "__main__":
    app()
