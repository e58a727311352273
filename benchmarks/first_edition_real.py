"""Summarize the baseline of issue 20: the first edition's search on real images, with a pretrained foundation.

Run:    python benchmarks/first_edition_real.py --ledger RUN/records.jsonl --seconds SECONDS
        (without options: the committed ledger again)
Cost:   seconds; the search itself took one to two hours on 2 shared cores (see the result).
Result: results/first_edition_real.json and .md; the ledger is results/first_edition_real.jsonl.

The search was run in a checkout of abe044e with the assets of `real_assets.sh` in `assets/`:

    python -m tdmr_ray.search --space benchmarks/first_edition_real.yaml --out runs/first_edition_real

The search ran out of its time during the confirmation, in that session. Finalist and controls were then run by the
training code of the same revision, in two processes of one thread each, without Ray; these records say so in `notes`.
`wall_seconds` is the search and half of the sum of these runs.

The images are 5,000 fashion articles with 5 labels per class; the other training images take part without labels.
The foundation is EfficientNet-Lite2 at 96 px, the target mobilenetv3_small_050 at 64 px. Scratch and plain distillation
have as many optimisation steps as TDMR. The three seeds differ in initial weights, views and order only: they share the
labelled subset and the images of val and test. Other programs ran on the same two cores during the whole search, so
seconds are an upper bound and not a measure of speed.
"""

import json
import os
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, Figures, as_json
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.training.batches import batches_per_epoch

NAME = "first_edition_real"
COMMIT = "abe044e"
COMMAND = f"python -m tdmr_ray.search --space benchmarks/{NAME}.yaml --out runs/{NAME}"
NUM_LABELED, NUM_TRAIN = 50, 2500
"""Labelled training images, and all of them: half of 5,000."""
LOAD = "other programs ran on the same two cores during the whole search, so seconds are an upper bound"

Record = dict[str, Any]
"""A line of the first edition's ledger, with its configuration names."""


def read_ledger(text: str) -> list[Record]:
    """Return the last record of every id."""
    records = {record["id"]: record for record in map(json.loads, text.splitlines())}
    return list(records.values())


def make_portable(text: str) -> str:
    """Return a ledger whose data folder is named relative to the checkout.

    Raises:
        ValueError: If another absolute path is left.
    """
    lines = []
    for line in text.splitlines():
        record = json.loads(line)
        data = record["config"]["data"]
        data["name"] = "assets" + data["name"].rpartition("/assets")[2] if "/assets/" in data["name"] else data["name"]
        record["error"] = " ".join(record["error"].split())
        lines.append(json.dumps(record, separators=(",", ":")))
    portable = "\n".join(lines) + "\n"
    for root in ('"/', "/tmp/", "/home/", "/root/"):
        if root in portable:
            raise ValueError(f"the ledger must have no absolute path, got one with {root}")
    return portable


def num_steps(record: Record) -> int:
    """Return the optimisation steps of a trial's target."""
    images = NUM_LABELED if record["role"] == "scratch" else NUM_TRAIN
    distill = record["config"]["distill"]
    return int(distill["epochs"] * batches_per_epoch(images, distill["batch_size"]))


def summarize(records: list[Record]) -> tuple[dict[str, float | Estimate], dict[str, Any]]:
    """Return figures of trials, finalist and controls, and notes that are not numbers."""
    trials = [record for record in records if record["phase"] == "search"]
    complete = [record for record in trials if record["state"] == "complete"]
    best = max(complete, key=lambda record: record["metrics"]["val/top1"])
    teachers = {record["teacher"]: record for record in records if record["teacher"] and not record["teacher_reused"]}
    states = Counter(record["state"] for record in trials)
    figures: dict[str, float | Estimate] = {f"trials_{state}": count for state, count in sorted(states.items())}
    figures["best_trial_val_top1"] = best["metrics"]["val/top1"]
    figures["best_trial_teacher_val_top1"] = best["metrics"]["val/teacher_top1"]
    figures["teachers_made"] = len(teachers)
    confirmed = [record for record in records if record["phase"] == "confirm" and record["state"] == "complete"]
    figures["confirmed_runs"] = len(confirmed)
    figures["seconds_per_teacher"] = estimate([record["teacher_seconds"] for record in teachers.values()])
    tests: dict[str, dict[int, float]] = {}
    for record in confirmed:
        role, seed = record["role"], record["seed"]
        tests.setdefault(role, {})[seed] = record["metrics"]["test/top1"]
        figures[f"{role}_test_top1_seed_{seed}"] = record["metrics"]["test/top1"]
        figures[f"{role}_val_top1_seed_{seed}"] = record["metrics"]["val/top1"]
        figures[f"{role}_steps"] = num_steps(record)
        if "val/teacher_top1" in record["metrics"]:
            figures[f"{role}_teacher_val_top1_seed_{seed}"] = record["metrics"]["val/teacher_top1"]
    for role, by_seed in tests.items():
        figures[f"{role}_test_top1"] = estimate(list(by_seed.values()))
        gain = None if role == "tdmr" else paired_difference(tests.get("tdmr", {}), by_seed)
        if gain is not None:
            figures[f"gain_over_{role}"] = gain
    unfinished = [
        f"{record['role']} seed {record['seed']}: {record['state']}"
        for record in records
        if record["phase"] == "confirm" and record["state"] != "complete"
    ]
    errors = Counter(record["error"] for record in records if record["error"])
    notes = {"best_trial": best["id"], "best_trial_values": best["values"], "errors": dict(errors)}
    return figures, notes | {"confirmation_not_complete": unfinished}


def render(figures: Figures) -> list[str]:
    """Return a Markdown table of all figures."""
    lines = [f"First edition ({COMMIT}) on fashion articles; {LOAD}.", "", "| figure | value |", "|---|--:|"]
    for name, value in figures.items():
        if isinstance(value, Estimate):
            interval = "" if value.low is None or value.high is None else f" [{value.low:.4g}, {value.high:.4g}]"
            lines.append(f"| {name} | {value.mean:.4g}{interval}, n = {value.n} |")
        else:
            lines.append(f"| {name} | {value:.4g} |")
    return lines


def main(
    ledger: Annotated[Path, typer.Option(help="records.jsonl of the search")] = FOLDER / f"{NAME}.jsonl",
    seconds: Annotated[float | None, typer.Option(help="wall time of the search")] = None,
) -> None:
    """Keep the ledger, the figures and the table."""
    kept = FOLDER / f"{NAME}.json"
    before: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    portable = make_portable(ledger.read_text(encoding="utf-8"))
    records = read_ledger(portable)
    figures, notes = summarize(records)
    if seconds is None:
        seconds = before.get("figures", {}).get("wall_seconds")
    if seconds is not None:
        figures["wall_seconds"] = seconds
    content = {
        "date": max(record["ended"] for record in records)[:10],
        "commit": COMMIT,
        "machine": {"cpu_count": os.cpu_count(), "processor": platform.machine(), "gpu": None, "load": LOAD},
        "versions": records[0]["versions"],
        "command": COMMAND,
        **notes,
        "figures": {name: as_json(value) for name, value in figures.items()},
    }
    lines = render(figures)
    (FOLDER / f"{NAME}.jsonl").write_text(portable, encoding="utf-8")
    (FOLDER / f"{NAME}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    kept.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    typer.run(main)
