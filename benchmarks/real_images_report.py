"""Figures, tables and a plot of `real_images.py`, made from finished runs only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from benchmarks.results_file import keep
from benchmarks.resumable import Row
from tdmr_ray.report.bootstrap import accuracy_estimate, gain_estimate
from tdmr_ray.report.statistics import Estimate

NAME = "real_images"
OURS = "tdmr"
RIVALS = {
    "small": ("scratch", "self_training", "plain_kd", "first_edition"),
    "lite0": ("fine_tune", "self_training_pretrained", "frozen_target", "plain_kd"),
}
LONG = ("tdmr_long", "plain_kd_long")
BEST_OF = {"small": RIVALS["small"], "lite0": RIVALS["lite0"][:3]}
"""Rivals of which the best one counts."""
TITLES = {"small": "mobilenetv3_small_050 from random weights", "lite0": "EfficientNet-Lite0 from ImageNet weights"}
Right = dict[int, NDArray[np.bool_]]


def right_by_seed(rows: Sequence[Row], cell: str, target: str, method: str, without: str = "") -> Right:
    """Return, for each seed that has run, whether each test image was right."""
    wanted = {"cell": cell, "target": target, "method": method, "without": without, "tuning": False}
    return {
        row["seed"]: np.unpackbits(np.frombuffer(bytes.fromhex(row["right"]), np.uint8))[: row["num_test"]].astype(bool)
        for row in rows
        if all(row[name] == value for name, value in wanted.items())
    }


def best_rival(rows: Sequence[Row], cell: str, target: str) -> str | None:
    """Return the rival with the best mean on test over the seeds that it shares with TDMR."""
    ours = right_by_seed(rows, cell, target, OURS)
    means = {}
    for method in BEST_OF[target]:
        theirs = right_by_seed(rows, cell, target, method)
        if shared := ours.keys() & theirs.keys():
            means[method] = float(np.mean([theirs[seed].mean() for seed in shared]))
    return max(means, key=means.__getitem__, default=None)


def figures_of(rows: Sequence[Row]) -> dict[str, Estimate]:
    """Return accuracies and gains, points / 100, with 95 % intervals over seeds and test images."""
    figures: dict[str, Estimate] = {}
    for cell, target in dict.fromkeys((row["cell"], row["target"]) for row in rows):
        name, ours = f"{cell}.{target}", right_by_seed(rows, cell, target, OURS)
        for method in (OURS, *RIVALS[target]):
            if right := right_by_seed(rows, cell, target, method):
                figures[f"{name}.{method}"] = accuracy_estimate(right)
        rivals = {f"gain_over_{method}": method for method in RIVALS[target]}
        if best := best_rival(rows, cell, target):
            rivals["gain_over_best_rival"] = best
        for figure, method in rivals.items():
            if gain := gain_estimate(ours, right_by_seed(rows, cell, target, method)):
                figures[f"{name}.{figure}"] = gain
        for method in LONG:
            if right := right_by_seed(rows, cell, target, method):
                figures[f"{name}.{method}"] = accuracy_estimate(right)
        for without in dict.fromkeys(row["without"] for row in rows if row["without"]):
            if gain := gain_estimate(ours, right_by_seed(rows, cell, target, OURS, without)):
                figures[f"{name}.part_of_{without}"] = gain
    return figures


def percent(estimate: Estimate | None, *, signed: bool = False) -> str:
    """Return a mean with its interval, in points."""
    if estimate is None:
        return ""
    sign = "+" if signed else ""
    ends = (estimate.mean, estimate.low, estimate.high)
    mean, *limits = (f"{100 * end:{sign}.1f}" for end in ends if end is not None)
    return f"{mean} [{', '.join(limits)}]" if limits else mean


def table_of(rows: Sequence[Row], figures: Mapping[str, Estimate], target: str) -> list[str]:
    """Return a Markdown table of one target: a line for each cell."""
    methods = (OURS, *RIVALS[target])
    head = ["cell", "seeds", *methods, "best rival", "TDMR over it"]
    lines = [f"## {TITLES[target]}", "", f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}"]
    for cell in dict.fromkeys(row["cell"] for row in rows if row["target"] == target):
        name = f"{cell}.{target}"
        ours = figures.get(f"{name}.{OURS}")
        gain = percent(figures.get(f"{name}.gain_over_best_rival"), signed=True)
        values = [percent(figures.get(f"{name}.{method}")) for method in methods]
        line = [cell, str(ours.n if ours else 0), *values, best_rival(rows, cell, target) or "", gain]
        lines.append(f"| {' | '.join(line)} |")
    return [*lines, ""]


def parts_table(figures: Mapping[str, Estimate]) -> list[str]:
    """Return a Markdown table of what each ingredient of TDMR adds."""
    parts = {name: estimate for name, estimate in figures.items() if ".part_of_" in name}
    if not parts:
        return []
    lines = [
        "## What each ingredient adds",
        "",
        "| cell | target | ingredient | TDMR with it over TDMR without it |",
        "|---|---|---|--:|",
    ]
    for name, estimate in parts.items():
        cell, target, ingredient = name.replace("part_of_", "").split(".")
        lines.append(f"| {cell} | {target} | {ingredient.replace('_', ' ')} | {percent(estimate, signed=True)} |")
    return [*lines, ""]


def long_table(figures: Mapping[str, Estimate]) -> list[str]:
    """Return a Markdown table of the methods that were also trained longer."""
    cells = list(dict.fromkeys(name.removesuffix(".tdmr_long") for name in figures if name.endswith(".tdmr_long")))
    if not cells:
        return []
    head = [*LONG, *(method.removesuffix("_long") for method in LONG)]
    lines = ["## Four times the steps", "", f"| cell | {' | '.join(head)} |", f"|---|{'--:|' * len(head)}"]
    for cell in cells:
        values = [percent(figures.get(f"{cell}.{method}")) for method in head]
        lines.append(f"| {cell} | {' | '.join(values)} |")
    return [*lines, ""]


def draw(figures: Mapping[str, Estimate], path: Path) -> None:
    """Plot the accuracy of every method in every cell."""
    matplotlib.use("Agg")
    shown = [target for target in RIVALS if any(f".{target}." in name for name in figures)]
    plot, axes = plt.subplots(1, len(shown), figsize=(7 * len(shown), 4), squeeze=False)
    for axis, target in zip(axes[0], shown, strict=True):
        cells = list(dict.fromkeys(name.split(".")[0] for name in figures if f".{target}." in name))
        methods = (*RIVALS[target], OURS)
        for place, method in enumerate(methods):
            found = [(number, figures.get(f"{cell}.{target}.{method}")) for number, cell in enumerate(cells)]
            known = [(number, estimate) for number, estimate in found if estimate is not None]
            x = [number + 0.8 * (place / (len(methods) - 1) - 0.5) for number, _ in known]
            means = [100 * estimate.mean for _, estimate in known]
            below = [100 * (estimate.mean - (estimate.low or estimate.mean)) for _, estimate in known]
            above = [100 * ((estimate.high or estimate.mean) - estimate.mean) for _, estimate in known]
            axis.errorbar(x, means, [below, above], fmt="D" if method == OURS else "o", label=method, capsize=2)
        axis.set_xticks(range(len(cells)), cells, rotation=20)
        axis.set_ylabel("accuracy on test, %")
        axis.set_title(TITLES[target], fontsize=10)
        axis.grid(axis="y", alpha=0.3)
        axis.legend(fontsize=7)
    plot.tight_layout()
    plot.savefig(path, dpi=120)
    plt.close(plot)


def write_report(rows: Sequence[Row], chosen: Mapping[tuple[str, str], Mapping[str, Any]], folder: Path) -> None:
    """Write figures, tables and plot into a folder, and print the tables."""
    figures = figures_of(rows)
    lines = ["Accuracy on test, %, with 95 % intervals over seeds and test images.", ""]
    for target in (target for target in RIVALS if any(row["target"] == target for row in rows)):
        lines += table_of([row for row in rows if not row["without"]], figures, target)
    lines += parts_table(figures) + long_table(figures)
    settings = {f"{target}, {kind}": dict(of_methods) for (target, kind), of_methods in chosen.items()}
    print("\n".join(lines))
    print(keep(NAME, lines, figures, {"chosen": settings, "runs": len(rows)}, folder))
    draw(figures, folder / f"{NAME}.png")
