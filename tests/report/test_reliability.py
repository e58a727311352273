"""Reliability of shipped models: bins, the file beside the weights, and the plot on the page."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.made_search import made_search

from tdmr_ray.report.folder import Comparison, read_search
from tdmr_ray.report.page import render_page
from tdmr_ray.report.reliability_plot import LARGEST_PX, SMALLEST_PX, explain_reliability, reliability_plot
from tdmr_ray.training.reliability import ModelReliability, Reliability, read_reliability, reliability_of


def of(confidences: list[float], right: list[bool]) -> Reliability:
    """Measure binary predictions of class 0."""
    first = torch.tensor(confidences)
    return reliability_of(torch.stack([first, 1 - first], dim=1), (~torch.tensor(right)).long())


BEFORE = of([0.99, 0.98, 0.97, 0.6], [True, False, True, True])
AFTER = of([0.7, 0.7, 0.69, 0.55], [True, False, True, True])
MODEL = ModelReliability(title="<i>vit</i> -> lcnet", temperature=2.5, val_before=BEFORE, val=AFTER, test=AFTER)


def test_bins_hold_count_confidence_and_accuracy() -> None:
    assert [(each.count, each.accuracy) for each in BEFORE.bins] == [(1, 1.0), (3, pytest.approx(2 / 3))]
    assert BEFORE.bins[1].confidence == pytest.approx(0.98)
    assert BEFORE.error == pytest.approx((0.4 + 3 * (0.98 - 2 / 3)) / 4)
    assert of([1.0, 1.0], [True, True]).error == 0


def test_the_recommended_model_is_read_first_and_then_each_pair(tmp_path: Path) -> None:
    best = tmp_path / "best"
    (best / "b").mkdir(parents=True)
    (best / "a").mkdir()
    for folder, title in ((best, "recommended"), (best / "a", "a"), (best / "b", "b")):
        model = MODEL.model_copy(update={"title": title, "test": None if title == "b" else AFTER})
        (folder / "calibration.json").write_text(model.model_dump_json(), encoding="utf-8")
    found = read_reliability(best)
    assert [each.title for each in found] == ["recommended", "a", "b"]
    assert [each.test for each in found] == [AFTER, AFTER, None]
    assert found[0].val_before == BEFORE
    assert read_search(tmp_path).reliability == found


def test_plot_has_a_dot_for_each_bin_that_grows_with_its_share() -> None:
    ideal, before, after, test = reliability_plot(MODEL).data
    assert list(ideal.x) == list(ideal.y)
    assert list(before.y) == [100 * each.accuracy for each in BEFORE.bins]
    assert list(after.x) == list(test.x) == [100 * each.confidence for each in AFTER.bins]
    assert [(size - SMALLEST_PX) / (LARGEST_PX - SMALLEST_PX) for size in before.marker.size] == [
        pytest.approx(0.25**0.5),
        pytest.approx(0.75**0.5),
    ]
    assert len(reliability_plot(MODEL.model_copy(update={"test": None})).data) == 3
    assert f"{100 * BEFORE.error:.1f} % on val before" in explain_reliability(MODEL)


def test_page_shows_each_shipped_model_once() -> None:
    search = replace(made_search(), reliability=[MODEL, MODEL.model_copy(update={"title": "other"}), MODEL])
    page = render_page([Comparison([search])])
    assert page.count("Reliability: &lt;i&gt;vit&lt;/i&gt; -&gt; lcnet") == 1
    assert page.count("Reliability: other") == 1
