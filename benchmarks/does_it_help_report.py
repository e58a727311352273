"""Figures, tables and plots of `does_it_help.py`, made from finished runs only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import matplotlib
import matplotlib.pyplot as plt

from benchmarks.results_file import write_results
from benchmarks.resumable import Row
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference

NAME = "does_it_help"
METHODS: dict[tuple[str, bool], str] = {
    ("scratch", False): "scratch",
    ("scratch_long", False): "scratch, 4 times the steps",
    ("self_training", True): "self-training + unlabelled",
    ("plain_kd", False): "plain distillation",
    ("tdmr", False): "**TDMR**",
    ("plain_kd", True): "plain distillation + unlabelled",
    ("tdmr", True): "**TDMR + unlabelled**",
    ("linear_probe", False): "linear probe (too big to ship)",
}
SUFFIX = {("digits", True): "", ("digits", False): "_labeled_only", ("script", True): "_script"}
SUFFIX[("script", False)] = "_script_labeled_only"


@dataclass(frozen=True)
class Runs:
    """The measured runs of one target on one task with one number of labelled images per class."""

    task: str
    shots: int
    rows: list[Row]

    def of(self, method: str, unlabeled: bool, foundation: str | None = None) -> list[Row]:
        """Return the runs of a method, with one foundation or with all of them."""
        return [
            row
            for row in self.rows
            if (row["method"], row["unlabeled"]) == (method, unlabeled) and foundation in (None, row["foundation"])
        ]

    def by_seed(self, method: str, unlabeled: bool, foundation: str | None = None) -> dict[int, float]:
        """Return test accuracy by seed, averaged over foundations, for seeds where all foundations have finished."""
        return average_by_seed(self.of(method, unlabeled, foundation), "test_top1")

    def gain(self, unlabeled: bool, rival: tuple[str, bool], foundation: str | None = None) -> Estimate | None:
        """Return TDMR minus a rival, paired by seed."""
        return paired_difference(
            self.by_seed("tdmr", unlabeled, foundation), self.by_seed(*rival, _own(rival, foundation))
        )

    @property
    def foundations(self) -> list[str]:
        """Names of the foundations that took part."""
        return sorted({row["foundation"] for row in self.rows if row["foundation"]})


def _own(rival: tuple[str, bool], foundation: str | None) -> str | None:
    """Return the foundation if the rival has one; other rivals are the same for all foundations."""
    return foundation if rival[0] in ("plain_kd", "linear_probe") else None


def average_by_seed(rows: Iterable[Row], name: str) -> dict[int, float]:
    """Return the mean of a value by seed, only for seeds with as many runs as the most complete one."""
    groups: dict[int, list[float]] = {}
    for row in rows:
        groups.setdefault(row["seed"], []).append(row[name])
    most = max((len(values) for values in groups.values()), default=0)
    return {seed: fmean(values) for seed, values in groups.items() if len(values) == most}


def figures_of(runs: Runs) -> dict[str, float | Estimate]:
    """Return the gains over every rival, the share of the gap that is closed, and the relative number of steps."""
    figures: dict[str, float | Estimate] = {}
    for unlabeled in (True, False):
        ending = f"_{runs.shots}shot{SUFFIX[runs.task, unlabeled]}"
        rivals = {"scratch": ("scratch", False), "plain_kd": ("plain_kd", unlabeled)}
        if unlabeled:
            rivals["self_training"] = ("self_training", True)
        for name, rival in rivals.items():
            gain = runs.gain(unlabeled, rival)
            if gain is not None:
                figures[f"gain_over_{name}{ending}"] = gain
        closed, faster = gap_closed(runs, unlabeled), steps_to_scratch_best(runs, unlabeled)
        if closed is not None:
            figures[f"gap_closed{ending}"] = closed
        if faster is not None:
            figures[f"steps_to_scratch_best{ending}"] = faster
    return figures


def gap_closed(runs: Runs, unlabeled: bool) -> float | None:
    """Return (TDMR - scratch) / (teacher - scratch) on test, each a mean over seeds and foundations."""
    ours, scratch = runs.of("tdmr", unlabeled), runs.of("scratch", False)
    if not ours or not scratch:
        return None
    tdmr, teacher = (fmean(row[name] for row in ours) for name in ("test_top1", "teacher_test_top1"))
    base = fmean(row["test_top1"] for row in scratch)
    return (tdmr - base) / (teacher - base) if teacher != base else None


def steps_to_scratch_best(runs: Runs, unlabeled: bool) -> Estimate | None:
    """Return the steps TDMR needs for the best val accuracy of scratch, relative to scratch; 1 if never reached."""
    ratios = []
    for scratch in runs.of("scratch", False):
        best = max(scratch["curve"])
        theirs = (scratch["curve"].index(best) + 1) / len(scratch["curve"])
        for ours in (row for row in runs.of("tdmr", unlabeled) if row["seed"] == scratch["seed"]):
            reached = next((place for place, value in enumerate(ours["curve"], start=1) if value >= best), None)
            ratios.append(1.0 if reached is None else reached / len(ours["curve"]) / theirs)
    return estimate(ratios) if ratios else None


def write_report(rows: list[Row], folder: Path) -> None:
    """Write figures, tables and plots of the measured runs, and print the tables."""
    targets = list(dict.fromkeys(row["target"] for row in rows if row["target"]))
    parts, figures = [], {}
    for target in targets:
        groups = group_runs([row for row in rows if row["target"] in (target, "")])
        for runs in groups:
            ending = "" if target == targets[0] else f"_{target}"
            figures |= {name + ending: value for name, value in figures_of(runs).items()}
            parts.append(render_table(runs, target))
        draw(groups, folder / f"{NAME}{'' if target == targets[0] else '_' + target}.png")
    text = "\n\n".join(parts) + "\n"
    (folder / f"{NAME}.md").write_text(text, encoding="utf-8")
    print(text)
    print(write_results(NAME, figures, folder))


def group_runs(rows: list[Row]) -> list[Runs]:
    """Group rows by task and number of labelled images, in order."""
    keys = sorted({(row["task"], row["shots"]) for row in rows})
    return [
        Runs(task, shots, [row for row in rows if (row["task"], row["shots"]) == (task, shots)]) for task, shots in keys
    ]


def render_table(runs: Runs, target: str) -> str:
    """Return a Markdown table of every method's accuracy, and one of TDMR's gain with each foundation."""
    seeds = len(runs.by_seed("scratch", False))
    lines = [
        f"**{runs.task}, {runs.shots} labelled images per class**, {target}, {seeds} seeds (labelled subset and initial"
        " weights; all seeds share the images of val and test). Test accuracy in %, mean over seeds and foundations;"
        " differences in points with the paired 95 % interval.",
        "",
        "| | accuracy | TDMR's gain | TDMR + unlabelled's gain |",
        "|---|--:|--:|--:|",
    ]
    for (method, unlabeled), label in METHODS.items():
        values = runs.by_seed(method, unlabeled)
        if values:
            gains = [
                shown_gain(runs.gain(ours, (method, unlabeled)) if method != "tdmr" else None) for ours in (False, True)
            ]
            lines.append(f"| {label} | {100 * fmean(values.values()):.1f} | {gains[0]} | {gains[1]} |")
    lines += [
        "",
        "| foundation | over scratch | over plain | + unlabelled: over scratch | over plain | over self-training |",
    ]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for name in runs.foundations:
        pairs = [(False, ("scratch", False)), (False, ("plain_kd", False))]
        pairs += [(True, ("scratch", False)), (True, ("plain_kd", True)), (True, ("self_training", True))]
        cells = [shown_gain(runs.gain(unlabeled, rival, name)) for unlabeled, rival in pairs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shown_gain(gain: Estimate | None) -> str:
    """Return text such as '+2.7 [+1.4, +4.0] wins', in points; an interval that contains 0 is a tie."""
    if gain is None:
        return ""
    if gain.low is None or gain.high is None:
        return f"{100 * gain.mean:+.1f}"
    verdict = "wins" if gain.low > 0 else "loses" if gain.high < 0 else "ties"
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] {verdict}"


STYLES: Mapping[tuple[str, bool], tuple[str, str]] = {
    ("scratch", False): ("#888888", "-"),
    ("scratch_long", False): ("#444444", ":"),
    ("self_training", True): ("#888888", "--"),
    ("plain_kd", False): ("#3b7dd8", "-"),
    ("plain_kd", True): ("#3b7dd8", "--"),
    ("tdmr", False): ("#d1495b", "-"),
    ("tdmr", True): ("#d1495b", "--"),
    ("linear_probe", False): ("#2e8b57", ":"),
}


def draw(groups: list[Runs], path: Path) -> None:
    """Plot accuracy over labelled images per class, one panel for each task; bars are 95 % intervals over the seeds."""
    matplotlib.use("Agg")
    tasks = list(dict.fromkeys(runs.task for runs in groups))
    figure, axes = plt.subplots(1, len(tasks), figsize=(5.2 * len(tasks), 5.2), squeeze=False, layout="constrained")
    for axis, task in zip(axes[0], tasks, strict=True):
        panel = [runs for runs in groups if runs.task == task]
        for place, ((method, unlabeled), label) in enumerate(METHODS.items()):
            points = [
                (runs.shots, estimate(list(values.values())))
                for runs in panel
                if len(values := runs.by_seed(method, unlabeled)) > 1
            ]
            if not points:
                continue
            colour, line = STYLES[method, unlabeled]
            x = [shots * 1.012 ** (place - 3) for shots, _ in points]
            y = [100 * value.mean for _, value in points]
            bars = [100 * (value.mean - value.low) if value.low is not None else 0.0 for _, value in points]
            axis.errorbar(x, y, bars, color=colour, linestyle=line, marker="o", capsize=3, label=label.replace("*", ""))
        axis.set_xscale("log")
        shots = [runs.shots for runs in panel]
        axis.set_xticks(shots, [str(count) for count in shots])
        axis.minorticks_off()
        axis.set(title=task, xlabel="labelled images per class", ylabel="test accuracy in %")
        axis.grid(alpha=0.3)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, handlelength=3)
    figure.savefig(path, dpi=110)
    plt.close(figure)
