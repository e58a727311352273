"""Figures per class against values that were computed by hand."""

import json
from pathlib import Path
from typing import Literal

import pytest
from helpers.made_search import made_search

from tdmr_ray.data.summary import DataSummary
from tdmr_ray.records import Pair, Phase, State, TrialRecord
from tdmr_ray.report.folder import Comparison, Search
from tdmr_ray.report.page import render_page
from tdmr_ray.report.per_class import ClassFigures, PerClass, class_table, explain, per_class
from tdmr_ray.report.write import write_reports

Matrix = list[list[int]]

FIRST: Matrix = [[8, 2, 0], [1, 3, 0], [2, 0, 0]]
SECOND: Matrix = [[6, 4, 0], [0, 4, 0], [1, 1, 0]]
"""Rows are true classes. The sum is [[14, 6, 0], [1, 7, 0], [3, 1, 0]]: nothing is taken for the last class."""
REFITTED: Matrix = [[10, 0, 0], [0, 4, 0], [0, 0, 2]]
SUMMARY = DataSummary(
    source="made",
    classes={name: {"train": 1, "val": 1, "test": 1} for name in ("cat", "dog", "emu")},
    unlabeled=0,
    ignored={},
    near_duplicates=[],
    groups=0,
    smallest_px=None,
    largest_px=None,
    size_px=32,
    resize="squash",
    interpolation="bicubic",
)


def record(
    confusion: Matrix | None,
    *,
    seed: int = 0,
    phase: Phase = "confirm",
    role: str = "tdmr",
    val: float = 0.9,
    state: State = "complete",
    join: str = "val",
) -> TrialRecord:
    own = Pair(foundation="" if role == "scratch" else "f", target="t")
    return TrialRecord(
        id=f"{phase} {role} {seed}",
        phase=phase,
        role=role,
        pair=own,
        config={"data": {"join": join if phase == "refit" else "none"}},
        recipe=role,
        state=state,
        metrics={"val/top1": val, "val/log_loss": 0.3, "test/top1": 0.8},
        confusion=confusion,
        seed=seed,
        seconds=1.0,
    )


def compared(*records: TrialRecord, summary: DataSummary | None = None) -> Comparison:
    return Comparison([Search("made", records, data_summary=summary)])


def figures_of(found: PerClass | None) -> list[tuple[str, int, float | None, float | None]]:
    assert found is not None
    return [(each.name, each.support, each.recall, each.precision) for each in found.classes]


def test_recall_and_precision_are_of_the_sum_over_seeds() -> None:
    found = per_class(compared(record(FIRST), record(SECOND, seed=1)))
    assert figures_of(found) == [
        ("0", 20, pytest.approx(14 / 20), pytest.approx(14 / 18)),
        ("1", 8, pytest.approx(7 / 8), pytest.approx(7 / 14)),
        ("2", 4, 0.0, None),
    ]
    assert found is not None
    assert (found.phase, found.seeds) == ("confirm", 2)


def test_a_class_without_test_images_has_no_recall() -> None:
    found = per_class(compared(record([[3, 1], [0, 0]])))
    assert figures_of(found) == [("0", 4, 0.75, 1.0), ("1", 0, None, 0.0)]


@pytest.mark.parametrize(
    ("others", "phase", "recall"),
    [
        ([record(REFITTED, phase="refit")], "refit", 1.0),
        ([record(REFITTED, phase="refit", state="failed")], "confirm", 0.8),
        ([record([], phase="refit", join="all")], "confirm", 0.8),
        ([record([[0, 0, 0]] * 3, phase="refit", join="all")], "confirm", 0.8),
        ([record(REFITTED, phase="cv")], "confirm", 0.8),
        ([record(REFITTED, role="scratch", val=0.95)], "confirm", 1.0),
        ([record(REFITTED, role="scratch", val=0.85)], "confirm", 0.8),
    ],
    ids=["refit", "failed refit", "refit without test", "empty test", "a fold", "a rival ships", "a rival does not"],
)
def test_the_figures_are_of_the_model_that_ships(others: list[TrialRecord], phase: Phase, recall: float) -> None:
    found = per_class(compared(record(FIRST), *others))
    assert found is not None
    assert (found.phase, found.classes[0].recall) == (phase, recall)


@pytest.mark.parametrize("records", [[], [record(None)], [record(FIRST, phase="search")]])
def test_there_are_no_figures_without_a_confusion_matrix_of_a_recommended_model(records: list[TrialRecord]) -> None:
    assert per_class(compared(*records)) is None


def test_classes_have_the_names_of_the_visualizations_else_of_the_summary_else_numbers() -> None:
    made = made_search(num_trials=4)
    shown = per_class(Comparison([made]))
    assert [name for name, *_ in figures_of(shown)] == ["cat", "dog", "bird", "fish", "ant", "bee"]
    summed = per_class(compared(record(FIRST), summary=SUMMARY))
    assert [name for name, *_ in figures_of(summed)] == ["cat", "dog", "emu"]
    other = per_class(compared(record([[1, 0], [0, 1]]), summary=SUMMARY))
    assert [name for name, *_ in figures_of(other)] == ["0", "1"]


def test_the_table_shows_percent_and_a_dash_where_a_figure_is_undefined() -> None:
    found = PerClass("refit", 2, (ClassFigures("cat", 20, 0.7, 7 / 9), ClassFigures("emu", 4, 0.0, None)))
    assert class_table(found).to_dict("list") == {
        "class": ["cat", "emu"],
        "recall %": ["70.0", "0.0"],
        "precision %": ["77.8", "-"],
        "support": ["20", "4"],
    }


@pytest.mark.parametrize(
    ("phase", "seeds", "start"),
    [
        ("refit", 3, "The recommended model on test after the refit, summed over 3 seeds."),
        ("confirm", 1, "The recommended model on test without a refit. "),
    ],
)
def test_the_explanation_says_whose_figures_they_are(
    phase: Literal["confirm", "refit"], seeds: int, start: str
) -> None:
    assert explain(PerClass(phase, seeds, ())).startswith(start)


def test_every_file_of_the_report_shows_the_figures(tmp_path: Path) -> None:
    counts = SUMMARY.classes["cat"]
    hostile = SUMMARY.model_copy(update={"classes": {"a|b\nc": counts, "<b>": counts, "emu": counts}})
    comparison = compared(record(FIRST), record(SECOND, seed=1), summary=hostile)
    paths = write_reports([comparison], tmp_path)
    published = json.loads(paths["json"].read_text(encoding="utf-8"))["tables"][0]["per_class"]
    assert published["classes"][0] == {
        "name": "a|b\nc",
        "support": 20,
        "recall": pytest.approx(0.7),
        "precision": pytest.approx(7 / 9),
    }
    assert "| a\\|b c | 70.0 | 77.8 | 20 |" in paths["md"].read_text(encoding="utf-8").splitlines()
    page = paths["html"].read_text(encoding="utf-8")
    assert page.index("<h2>Per class</h2>") < page.index("<bdi>Confusion matrix: f -&gt; t</bdi>")
    assert "<bdi>&lt;b&gt;</bdi>" in page
    assert "summed over 2 seeds" in page


def test_a_page_without_confirmed_trials_has_no_section_per_class() -> None:
    assert "Per class" not in render_page([compared(record(None, phase="search"))])
