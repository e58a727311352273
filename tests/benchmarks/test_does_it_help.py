"""The benchmark `does_it_help`: its plan, and figures worked out by hand."""

from dataclasses import asdict
from typing import Any

import pytest

from benchmarks.does_it_help import (
    FIRST_SEED,
    FOUNDATIONS,
    MAX_STEPS,
    RUNS,
    SHOTS,
    TARGETS,
    TRIED,
    TUNING_SEEDS,
    Cell,
    Job,
    best_on_val,
    measured_cells,
    measuring_job,
    tune,
    tuned_cells,
)
from benchmarks.does_it_help_report import Runs, figures_of, render_table, shown_gain
from benchmarks.resumable import finished, read_runs
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.training.batches import batches_per_epoch


def row(method: str, unlabeled: bool, foundation: str, seed: int, test: float, **values: Any) -> dict[str, Any]:
    base = {
        "task": "digits",
        "shots": 5,
        "target": "t",
        "tuning": False,
        "teacher_test_top1": 0.96,
        "curve": [0.5, 0.8],
    }
    cell = {"method": method, "unlabeled": unlabeled, "foundation": foundation, "seed": seed, "test_top1": test}
    return {**base, **cell, **values}


ROWS = [
    row("scratch", False, "", 0, 0.90, curve=[0.5, 0.8, 0.9, 0.9]),
    row("scratch", False, "", 1, 0.92, curve=[0.5, 0.8, 0.9, 0.9]),
    row("self_training", True, "", 0, 0.91),
    row("self_training", True, "", 1, 0.93),
    row("plain_kd", True, "a", 0, 0.92),
    row("plain_kd", True, "a", 1, 0.94),
    row("plain_kd", True, "b", 0, 0.90),
    row("plain_kd", True, "b", 1, 0.92),
    row("tdmr", True, "a", 0, 0.95, curve=[0.91, 0.92, 0.93, 0.94]),
    row("tdmr", True, "a", 1, 0.95, curve=[0.4, 0.5, 0.6, 0.7]),
    row("tdmr", True, "b", 0, 0.93, curve=[0.4, 0.91, 0.93, 0.94]),
    row("tdmr", True, "b", 1, 0.95, curve=[0.4, 0.91, 0.93, 0.94]),
]


def test_gains_are_paired_by_seed_and_averaged_over_foundations() -> None:
    figures = figures_of(Runs("digits", 5, ROWS))
    expected = {"scratch": (0.04, 0.03), "plain_kd": (0.03, 0.02), "self_training": (0.03, 0.02)}
    for rival, differences in expected.items():
        gain = figures[f"gain_over_{rival}_5shot"]
        assert isinstance(gain, Estimate)
        assert gain.mean == pytest.approx(sum(differences) / 2)
        assert gain.n == 2
    assert not any(name.endswith("_labeled_only") for name in figures)


def test_closed_gap_and_relative_steps_match_a_calculation_by_hand() -> None:
    figures = figures_of(Runs("digits", 5, ROWS))
    assert figures["gap_closed_5shot"] == pytest.approx((0.945 - 0.91) / (0.96 - 0.91))
    steps = figures["steps_to_scratch_best_5shot"]
    assert isinstance(steps, Estimate)
    assert steps.mean == pytest.approx(((1 / 3) + 1.0 + (2 / 3) + (2 / 3)) / 4)  # never reached counts as 1


def test_a_seed_without_all_foundations_is_left_out() -> None:
    unfinished = [each for each in ROWS if (each["method"], each["foundation"], each["seed"]) != ("tdmr", "b", 1)]
    gain = figures_of(Runs("digits", 5, unfinished))["gain_over_scratch_5shot"]
    assert isinstance(gain, Estimate)
    assert gain.n == 1


def test_the_table_shows_accuracy_gain_and_verdict() -> None:
    text = render_table(Runs("digits", 5, ROWS), "t")
    assert "| scratch | 91.0 |  | +3.5 |" in text, "two seeds have no interval"
    assert "| a | " in text
    assert "| b | " in text


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.01, 0.03, "wins"), (-0.01, 0.03, "ties"), (-0.03, -0.01, "loses")]
)
def test_the_interval_decides_the_verdict(low: float, high: float, verdict: str) -> None:
    assert shown_gain(Estimate(0.0, 0.01, low, high, 3)).endswith(verdict)


def test_every_method_tries_as_many_configurations_with_labels_that_no_measured_run_uses() -> None:
    assert len({len(tried) for tried in TRIED.values()}) == 1
    assert len(list(tuned_cells(SHOTS, "lcnet_050"))) == 2 * len(TRIED)
    seeds = {cell.seed for cell in measured_cells(SHOTS, "lcnet_050", (5,), range(10))}
    assert not seeds & set(TUNING_SEEDS)


def test_the_default_plan_has_every_method_seed_and_foundation_once() -> None:
    cells = list(measured_cells(SHOTS, "lcnet_050", (5, 10), range(5)))
    assert len(set(cells)) == len(cells) == 2 * 2 * 5 * (2 + 5 * len(FOUNDATIONS)) + 2 * 5


@pytest.mark.parametrize(
    ("val", "kept"), [((0.8, 0.9, 0.7), [1]), ((0.9, 0.8, 0.9), [0, 2]), ((0.5, 0.5, 0.5), [0, 1, 2])]
)
def test_val_chooses_the_configuration_and_test_does_not(val: tuple[float, ...], kept: list[int]) -> None:
    cell = Cell("digits", "scratch", False, "", "t", 5, 0)
    tried = list(TRIED["scratch", False])[:3]
    rows = [
        {**row("scratch", False, "", 100, test), "overrides": overrides, "val_top1": value}
        for overrides, value, test in zip(tried, val, (0.99, 0.5, 0.9), strict=True)
    ]
    assert best_on_val(rows, cell, tried) == [tried[place] for place in kept]
    assert best_on_val([], cell, tried) == tried


def test_ties_are_resolved_on_a_further_subset() -> None:
    asked = []

    def run(jobs: list[Job]) -> list[dict[str, Any]]:
        asked.append([(job.cell.seed, job.overrides) for job in jobs if job.cell.method == "tdmr"])
        better = [place + (job.cell.seed == 101) for place, job in enumerate(jobs)]
        values = [0.9 if job.cell.seed == 100 else float(value) for job, value in zip(jobs, better, strict=True)]
        return [
            {**asdict(job.cell), "overrides": job.overrides, "val_top1": val}
            for job, val in zip(jobs, values, strict=True)
        ]

    chosen = tune(["digits"], "t", run)
    assert [len(jobs) for jobs in asked] == [8, 8, 0]
    assert chosen["digits", "tdmr", True] == TRIED["tdmr", True][-1]


@pytest.mark.parametrize("method", ["scratch", "self_training", "plain_kd", "tdmr"])
def test_all_methods_have_the_same_maximum_number_of_steps(method: str) -> None:
    unlabeled = method != "scratch"
    cell = Cell("digits", method, unlabeled, "glyph_cnn", "lcnet_050", 5, 0)
    config = Job(cell, TRIED[method, unlabeled][0], tuning=False).config
    steps = config.distill.epochs * batches_per_epoch(898 if unlabeled else 50, config.distill.batch_size)
    assert steps == pytest.approx(MAX_STEPS, abs=10)


def test_recorded_runs_of_the_first_edition_are_still_found() -> None:
    rows = read_runs(RUNS)
    recorded = {each["key"] for each in rows}
    chosen = tune(SHOTS, TARGETS[0], lambda jobs: finished(jobs, RUNS))
    cells = measured_cells(SHOTS, TARGETS[0], (5, 10), range(FIRST_SEED, FIRST_SEED + 5))
    assert {measuring_job(cell, chosen).key for cell in cells} <= recorded
