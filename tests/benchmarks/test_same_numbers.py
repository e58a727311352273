"""`same_numbers.py`: the set of configurations covers every component, and a change of a number is found."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkouts import ROOT
from benchmarks.older_names import OLDER_PATHS
from benchmarks.same_numbers import BASE, CASES, Case, compare, first_difference, render, run_sides
from benchmarks.same_numbers_runner import nest, translate
from tdmr_ray.method.alignments import ALIGNMENTS
from tdmr_ray.method.losses import LOSSES
from tdmr_ray.method.mappings import MAPPINGS
from tdmr_ray.method.prompts import PROMPTS
from tdmr_ray.method.schedules import SCHEDULES
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS


def settings_of(path: str) -> set[Any]:
    return {(BASE | case.settings).get(path) for case in CASES}


def test_every_component_has_a_configuration() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40
    assert set(PROMPTS) <= settings_of("prompt.kind")
    assert set(MAPPINGS) <= settings_of("mapping.kind")
    assert set(ALIGNMENTS) <= settings_of("alignment.kind")
    assert set(SCHEDULES) <= settings_of("temperature.schedule")
    assert set(CONTROLS) <= {case.control for case in CASES}
    assert {(kind, flag) for kind in LOSSES for flag in (False, True)} <= {
        (case.settings.get("loss.kind"), case.settings.get("loss.standardize")) for case in CASES
    }
    assert {1, 2, 3, 4} <= {case.settings.get("distill.num_stages", 1) for case in CASES}


def test_every_configuration_is_legal(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for case in CASES:
        TrialConfig.model_validate(nest(case.for_runner(tmp_path)["settings"]))


def test_settings_are_translated_for_the_edition_that_reads_them() -> None:
    settings = {"loss.kind": "mse", "outputs.kind": "live", "seed": 1}
    assert translate(settings, OLDER_PATHS, {"views.preset", "loss", "outputs"}) == settings
    assert translate(settings, OLDER_PATHS, {"outputs"}) == {"distill.loss": "mse", "outputs.kind": "live", "seed": 1}
    views = {"views.preset": "document", "views.mirror": True}
    assert translate(views, OLDER_PATHS, {"views.preset", "loss", "outputs"}) == views
    assert translate(views, OLDER_PATHS, {"loss", "outputs"}) == {"data.mirror": True}
    assert translate(settings, OLDER_PATHS, set()) == {"distill.loss": "mse", "signals.kind": "live", "seed": 1}


def test_the_first_different_figure_is_named() -> None:
    assert first_difference({"a": "1.0", "b": "2.0"}, {"a": "1.0", "b": "2.0"}) == ""
    assert first_difference({"a": "1.0", "b": "2.0"}, {"a": "1.0", "b": "2.5"}) == "b: 2.0 before, 2.5 after"
    assert first_difference({"a": "1.0"}, {}) == "a: 1.0 before, missing after"


def test_a_failure_in_both_revisions_is_a_difference() -> None:
    assert first_difference({"error": "ValueError: x"}, {"error": "ValueError: x"})


def test_a_repeat_that_differs_within_a_revision_is_found() -> None:
    def side(again: str) -> dict[str, Any]:
        values = {"replay: first": "1.0", "replay: again": again}
        return {name: {"seconds": 1.0, "figures": {"loss": value}} for name, value in values.items()}

    rows = {row.name: row.difference for row in compare(side("1.0"), side("1.5"))}
    assert rows["replay: first"] == ""
    assert rows["replay: again = replay: first (before)"] == ""
    assert rows["replay: again = replay: first (after)"] == "loss: 1.0 before, 1.5 after"


def test_the_table_has_a_row_for_every_configuration() -> None:
    run = {"a": {"seconds": 1.25, "figures": {"loss": "1.0"}}}
    assert "| a | 1 | equal | 1.2 | 1.2 |" in render(compare(run, run), ("x", "y"))


@pytest.mark.slow
def test_a_changed_constant_is_found(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tdmr_ray", tmp_path / "tdmr_ray", ignore=shutil.ignore_patterns("__pycache__"))
    changed = tmp_path / "tdmr_ray" / "training" / "batches.py"
    text = changed.read_text(encoding="utf-8")
    assert "MIN_VIEWS_PER_EPOCH = 500" in text
    changed.write_text(text.replace("MIN_VIEWS_PER_EPOCH = 500", "MIN_VIEWS_PER_EPOCH = 510"), encoding="utf-8")
    case = Case("short", {"distill.epochs": 1, "reprogram.epochs": 1})
    before, same, after = run_sides({"before": ROOT, "same": ROOT, "after": tmp_path}, [case])
    assert compare(before, same)[0].difference == ""
    assert "before" in compare(before, after)[0].difference
