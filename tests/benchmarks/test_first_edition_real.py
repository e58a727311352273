"""The summary of the first edition's baseline, on records written here."""

import json
from typing import Any

import pytest

from benchmarks.first_edition_real import make_portable, num_steps, read_ledger, render, summarize
from tdmr_ray.report.statistics import Estimate


def record(name: str, **values: Any) -> dict[str, Any]:
    base = {
        "id": name,
        "phase": "search",
        "role": "tdmr",
        "state": "complete",
        "seed": 0,
        "metrics": {"val/top1": 0.5, "val/teacher_top1": 0.6},
        "values": {},
        "teacher": "t",
        "teacher_reused": False,
        "teacher_seconds": 100.0,
        "error": "",
        "config": {"data": {"name": "/tmp/x/assets/sets/fashion"}, "distill": {"epochs": 30, "batch_size": 64}},
    }
    return {**base, **values}


def confirmed(role: str, seed: int, test: float) -> dict[str, Any]:
    metrics = {"val/top1": 0.7, "test/top1": test}
    return record(f"{role}{seed}", phase="confirm", role=role, seed=seed, metrics=metrics, teacher="")


RECORDS = [
    record("a"),
    record("b", metrics={"val/top1": 0.8, "val/teacher_top1": 0.7}, teacher_reused=True),
    record("c", state="failed", metrics={}, error="diverged", teacher="u", teacher_seconds=300.0),
    *(confirmed("tdmr", seed, 0.7 + 0.1 * seed) for seed in range(3)),
    *(confirmed("scratch", seed, 0.6 + 0.11 * seed) for seed in range(3)),
]


def test_the_summary_counts_trials_and_names_the_best() -> None:
    figures, notes = summarize(RECORDS)
    assert (figures["trials_complete"], figures["trials_failed"], figures["confirmed_runs"]) == (2, 1, 6)
    assert (figures["best_trial_val_top1"], notes["best_trial"]) == (0.8, "b")
    assert notes["errors"] == {"diverged": 1}


def test_each_teacher_counts_once() -> None:
    seconds = summarize(RECORDS)[0]["seconds_per_teacher"]
    assert isinstance(seconds, Estimate)
    assert (seconds.mean, seconds.n) == (200.0, 2)


def test_gains_are_paired_by_seed() -> None:
    figures, _ = summarize(RECORDS)
    mean, gain = figures["tdmr_test_top1"], figures["gain_over_scratch"]
    assert isinstance(mean, Estimate)
    assert isinstance(gain, Estimate)
    assert (mean.mean, mean.n) == (pytest.approx(0.8), 3)
    assert gain.mean == pytest.approx(0.09)
    assert "| gain_over_scratch | 0.09 [" in "\n".join(render(figures))


def test_scratch_counts_steps_over_labelled_images_only() -> None:
    scratch = confirmed("scratch", 0, 0.5)
    scratch["config"]["distill"]["epochs"] = 147
    assert num_steps(scratch) == 147 * 8
    assert num_steps(confirmed("tdmr", 0, 0.5)) == 30 * 39


def test_the_kept_ledger_has_no_path_of_a_machine() -> None:
    text = "\n".join(map(json.dumps, RECORDS))
    kept = read_ledger(make_portable(text))
    assert {row["config"]["data"]["name"] for row in kept} == {"assets/sets/fashion"}
    with pytest.raises(ValueError, match="absolute path"):
        make_portable(json.dumps(record("d", error="no file /home/me/x")))
