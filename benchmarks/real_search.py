"""Measure a search on real photographs with real weights: before a change, now, and as loops without this package.

Run:    python benchmarks/focus_weights.py vit_s_focus.onnx FOLDER/focus.safetensors, and put lite0.safetensors there
        python benchmarks/real_search.py lay-out ELPV4 FOLDER
        python benchmarks/real_search.py search FOLDER before --revision 68da768
        python benchmarks/real_search.py search FOLDER after
        python benchmarks/real_search.py loop FOLDER plain; python benchmarks/real_search.py loop FOLDER tutorial
        python benchmarks/real_search.py summarize FOLDER
Cost:   about an hour and a half on 2 cores of an otherwise idle machine.
Result: results/real_search.json, .md and .png.

ELPV4 is the set of solar cells of `real_assets.sh`, which also converts EfficientNet-Lite0. FOLDER
receives 320 of its photographs, 80 of each class. The search is `real_search.yaml`: 12 trials of up to 8 epochs,
without a confirmation. The store is empty at the start.

The loops run the first two trials of `after` for as many epochs as the search did, and the time of all 12 is
extrapolated by epochs. `plain` is a loop in one process that uses all cores as threads; each trial makes its teacher
and runs it on every batch. `tutorial` starts a TorchTrainer from a Tune function, as Ray's guides do.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

import matplotlib
import matplotlib.pyplot as plt
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.checkouts import ROOT, name_revision, name_this_checkout, open_worktree
from benchmarks.results_file import FOLDER, show_and_keep
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.training.config import TrialConfig

NAME = "real_search"
SPACE = Path(__file__).with_suffix(".yaml")
PER_CLASS = 80
ONLY_TRIALS = ("--set", "confirm.top=0", "--set", "confirm.refit=false")
SEARCHES, LOOPS = ("before", "after"), ("plain", "tutorial")
NUM_LOOPED = 2
PARTS = {"teachers": "teachers", "targets": "targets", "rest": "start, waiting, idle"}
COLOURS = ("#d1793b", "#3b6fb6", "#b8bcc4")
SPEED = FOLDER / "foundation_speed.json"
PROFILE = FOLDER / "step_profile.json"

app = typer.Typer(add_completion=False)


@app.command()
def lay_out(source: Path, folder: Path) -> None:
    """Copy every third photograph of each class until there are enough."""
    for each in sorted(path for path in source.iterdir() if path.is_dir()):
        target = folder / "photos" / each.name
        target.mkdir(parents=True)
        for path in sorted(each.iterdir())[2::3][:PER_CLASS]:
            shutil.copy(path, target)


@app.command()
def search(
    folder: Path,
    name: Annotated[str, typer.Argument(help="before or after")],
    revision: Annotated[str | None, typer.Option(help="None is this checkout.")] = None,
) -> None:
    """Run the search with a revision."""
    if revision is None:
        _search(folder, name, ROOT, name_this_checkout())
        return
    with open_worktree(revision) as checkout:
        _search(folder, name, checkout, name_revision(revision))


def _search(folder: Path, name: str, checkout: Path, revision: str) -> None:
    place = ("--out", f"out_{name}", "--store", f"store_{name}")
    command = [sys.executable, "-m", "tdmr_ray.search", "--space", str(SPACE), *place, *ONLY_TRIALS]
    started = time.time()
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(checkout)}, check=True)
    _keep_times(folder, name, {"started": started, "ended": time.time()}, revision)


def _keep_times(folder: Path, name: str, times: dict[str, float], revision: str) -> None:
    text = json.dumps({**times, "revision": revision})
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


@app.command()
def loop(folder: Path, way: Annotated[str, typer.Argument(help="plain or tutorial")]) -> None:
    """Run the first trials of `after` without this package's search."""
    from benchmarks.search_throughput import sequential, tutorial
    from tdmr_ray.tuning.trial_spec import build_spec

    os.chdir(folder)
    ways: dict[str, Callable[..., object]] = {"plain": sequential, "tutorial": tutorial}
    trials = _complete(Path(), "after")[:NUM_LOOPED]
    specs = [(build_spec(_with_absolute_files(each), phase="search"), _epochs(each)) for each in trials]
    started = time.time()
    ways[way](specs)
    _keep_times(Path(), way, {"started": started, "ended": time.time()}, name_this_checkout())


def _complete(folder: Path, name: str) -> list[TrialRecord]:
    """Return the trials of a search that have ended, in the order in which they did."""
    lines = (folder / f"out_{name}" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["state"] in ("complete", "pruned")]
    return [TrialRecord.model_validate(row) for row in rows]


def _with_absolute_files(record: TrialRecord) -> TrialConfig:
    """Return a trial's configuration for processes that run in another folder."""
    config = TrialConfig.model_validate(record.config)
    files = {
        f"{part}.weights": str(Path(getattr(config, part).weights).absolute()) for part in ("foundation", "target")
    }
    return config.with_values(files)


def _epochs(record: TrialRecord) -> int:
    return len(record.curve)


@app.command()
def summarize(folder: Path) -> None:
    """Keep the figures."""
    times = {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in (*SEARCHES, *LOOPS)}
    trials = {name: _complete(folder, name) for name in SEARCHES}
    figures: dict[str, float | Estimate] = {}
    for name in SEARCHES:
        figures |= _figures_of(name, trials[name], times[name]["started"], times[name]["ended"])
    epochs = [_epochs(each) for each in trials["after"]]
    for name in LOOPS:
        looped_s = times[name]["ended"] - times[name]["started"]
        figures[f"seconds_{name}"] = looped_s * sum(epochs) / sum(epochs[:NUM_LOOPED])
    after_s = figures["seconds_after"]
    assert isinstance(after_s, float)
    for figure, name in (("before", "before"), ("plain_loop", "plain"), ("tutorial", "tutorial")):
        seconds = figures[f"seconds_{name}"]
        assert isinstance(seconds, float)
        figures[f"speedup_over_{figure}"] = seconds / after_s
    figures["seconds_to_first_trial"] = figures["seconds_to_first_trial_after"]
    figures["fraction_of_gemm_peak"] = _figure(SPEED, "fraction_of_gemm_peak")
    figures["step_overhead"] = _figure(PROFILE, "step_overhead")
    revisions = {name: times[name]["revision"] for name in times}
    draw(figures, FOLDER / f"{NAME}.png")
    show_and_keep(NAME, _table(figures), figures, notes={"revisions": revisions})


def _figure(path: Path, name: str) -> float:
    """Return a figure of another benchmark."""
    return float(json.loads(path.read_text(encoding="utf-8"))["figures"][name])


def _figures_of(name: str, trials: list[TrialRecord], started: float, ended: float) -> dict[str, float | Estimate]:
    """Return seconds, the best accuracy, and where the slots' seconds went."""
    first = min(datetime.fromisoformat(each.ended).timestamp() for each in trials)
    teachers_s = sum(0.0 if each.teacher_reused else each.teacher_seconds for each in trials)
    total_s = sum(each.seconds for each in trials)
    return {
        f"seconds_{name}": ended - started,
        f"seconds_to_first_trial_{name}": first - started,
        f"slot_seconds_teachers_{name}": teachers_s,
        f"slot_seconds_targets_{name}": total_s - teachers_s,
        f"slot_seconds_rest_{name}": 2 * (ended - started) - total_s,
        f"trials_{name}": len(trials),
        f"epochs_{name}": sum(_epochs(each) for each in trials),
        f"best_val_top1_{name}": max(each.metrics["val/top1"] for each in trials),
        f"teacher_val_top1_{name}": max(each.metrics["val/teacher_top1"] for each in trials),
    }


def draw(figures: Mapping[str, float | Estimate], path: Path) -> None:
    """Draw where the seconds of the slots went, before and after."""
    matplotlib.use("Agg")
    figure, axes = plt.subplots(figsize=(8, 2.2))
    left = dict.fromkeys(SEARCHES, 0.0)
    for (part, title), colour in zip(PARTS.items(), COLOURS, strict=True):
        for name in reversed(SEARCHES):
            width = figures[f"slot_seconds_{part}_{name}"]
            assert isinstance(width, float)
            label = title if name == SEARCHES[0] else None
            axes.barh(name, width, left=left[name], color=colour, edgecolor="white", label=label)
            left[name] += width
    axes.set_xlabel("seconds of the two slots")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(PARTS), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def _table(figures: dict[str, float | Estimate]) -> list[str]:
    names = {
        "seconds": "seconds",
        "seconds_to_first_trial": "seconds to the first trial",
        "epochs": "epochs of all trials",
    }
    names |= {f"slot_seconds_{part}": f"slot seconds: {title}" for part, title in PARTS.items()}
    names |= {"best_val_top1": "best accuracy on val", "teacher_val_top1": "best teacher on val"}
    lines = ["| | before | after |", "|---|--:|--:|"]
    for key, title in names.items():
        before, after = (figures[f"{key}_{name}"] for name in SEARCHES)
        lines.append(f"| {title} | {before:.4g} | {after:.4g} |")
    lines += ["", "| way | seconds for 12 trials | relative to this package |", "|---|--:|--:|"]
    for name, title in {"before": "before", "after": "now", "plain": "plain loop", "tutorial": "Ray's guides"}.items():
        seconds, ours = figures[f"seconds_{name}"], figures["seconds_after"]
        assert isinstance(seconds, float) and isinstance(ours, float)
        lines.append(f"| {title} | {seconds:.0f} | {seconds / ours:.1f} |")
    return lines


if __name__ == "__main__":
    app()
