"""The benchmark on real images: its plan, and figures worked out by hand."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from benchmarks import real_images
from benchmarks.real_images import CELLS, SEEDS, TRIED, TUNED_ON, Job, choose, measuring_jobs
from benchmarks.real_images_report import best_rival, figures_of, right_by_seed, table_of

CHOSEN = {
    (target, kind): {method: several[0] for (of, method), several in TRIED.items() if of == target}
    for target, kind in (("small", "photographs"), ("small", "writing"), ("lite0", "photographs"))
}


def row(method: str, seed: int, right: list[int], **values: Any) -> dict[str, Any]:
    bits = np.packbits(np.array(right, bool)).tobytes().hex()
    base = {"cell": "script_5", "target": "small", "without": "", "tuning": False, "num_test": len(right)}
    return {**base, "method": method, "seed": seed, "right": bits, **values}


def test_every_method_tries_as_many_configurations_unless_it_has_none() -> None:
    assert {len(several) for (_, method), several in TRIED.items() if method != "frozen_target"} == {4}


def test_plan_measures_every_method_with_every_seed_in_every_cell() -> None:
    jobs = [job for job in measuring_jobs(CHOSEN) if not job.without and not job.method.endswith("_long")]
    counts = Counter((job.cell, job.target, job.method) for job in jobs)
    for name, cell in CELLS.items():
        for target in cell.targets:
            methods = cell.methods or [method for of, method in TRIED if of == target]
            assert {counts[name, target, method] for method in methods} == {SEEDS[target]}
    assert len({job.key for job in jobs}) == len(jobs)


def test_tuning_uses_other_splits_and_half_of_the_steps() -> None:
    tuning, measured = (Job("digits_5", "small", "tdmr", 1, {}, tuning=value) for value in (True, False))
    assert tuning.config.data.split_seed != measured.config.data.split_seed
    assert 2 * tuning.steps == measured.steps


def test_long_runs_have_four_times_the_steps_of_the_same_method() -> None:
    short, long = (Job("digits_5", "small", method, 1, {}) for method in ("tdmr", "tdmr_long"))
    assert long.steps == 4 * short.steps
    assert long.config.mapping == short.config.mapping


def test_each_ingredient_can_be_left_out() -> None:
    whole = Job("script_5", "small", "tdmr", 1, {}).config
    assert len(whole.foundation.networks) == 3
    for without in real_images.ABLATED["small"][1]:
        assert Job("script_5", "small", "tdmr", 1, {}, without=without).config != whole
    for without in real_images.ABLATED["lite0"][1]:
        assert real_images.TDMR["lite0"] | real_images.WITHOUT[without] != real_images.TDMR["lite0"]
    assert {name for _, names in real_images.ABLATED.values() for name in names} == set(real_images.WITHOUT)


def test_configuration_that_is_best_on_val_is_chosen() -> None:
    def rows_of(jobs: list[Job]) -> list[dict[str, Any]]:
        return [{"key": job.key, "val_top1": 0.5 + 0.1 * (job.overrides == {"views.mix": 0.5})} for job in jobs]

    assert choose("small", "writing", rows_of)["tdmr"] == {"views.mix": 0.5}
    assert set(TUNED_ON.values()) <= set(CELLS)


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Three seeds on nine test images: TDMR has 8, 7 and 6 right, self-training two less, scratch 1."""
    runs = {"tdmr": (8, 7, 6), "self_training": (6, 5, 4), "scratch": (1, 1, 1)}
    return [
        row(method, seed, [1] * count + [0] * (9 - count))
        for method, counts in runs.items()
        for seed, count in enumerate(counts, start=1)
    ]


def test_figures_by_hand(rows: list[dict[str, Any]]) -> None:
    assert best_rival(rows, "script_5", "small") == "self_training"
    assert right_by_seed(rows, "script_5", "small", "tdmr")[1].tolist() == [True] * 8 + [False]
    figures = figures_of(rows)
    assert figures["script_5.small.tdmr"].mean == pytest.approx(7 / 9)
    assert figures["script_5.small.gain_over_best_rival"].mean == pytest.approx(2 / 9)
    assert figures["script_5.small.gain_over_scratch"].mean == pytest.approx(6 / 9)
    (line,) = (line for line in table_of(rows, figures, "small") if line.startswith("| script_5"))
    assert line.startswith("| script_5 | 3 | 77.8 [")
    assert "self_training" in line


def test_part_of_an_ingredient_is_what_is_lost_without_it(rows: list[dict[str, Any]]) -> None:
    less = [row("tdmr", seed, [1] * 4 + [0] * 5, without="committee") for seed in (1, 2, 3)]
    assert figures_of(rows + less)["script_5.small.part_of_committee"].mean == pytest.approx(3 / 9)
