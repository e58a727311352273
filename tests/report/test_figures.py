"""Content of the plots."""

import json

import numpy as np
import pytest
from helpers.made_search import HOSTILE, made_search

from tdmr_ray.records import TrialRecord
from tdmr_ray.report import figures
from tdmr_ray.report.folder import Comparison, Search
from tdmr_ray.report.importance import MIN_TRIALS, importances_of
from tdmr_ray.report.page import render_page
from tdmr_ray.report.parallel_coordinates import NOT_SEARCHED, parallel_coordinates


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return Comparison([made_search(48)])


def searched(comparison: Comparison) -> list[TrialRecord]:
    return [record for record in comparison.records if record.phase == "search" and record.curve]


def test_best_so_far_never_falls_and_ends_at_the_best_trial(comparison: Comparison) -> None:
    figure = figures.best_so_far(comparison.records)
    assert figure is not None
    over_trials = [trace for trace in figure.data if trace.showlegend is not False]
    assert len(over_trials) == 4
    for trace in over_trials:
        own = [max(record.curve) for record in searched(comparison) if record.pair.title == trace.name]
        assert list(trace.y) == sorted(trace.y)
        assert trace.y[-1] == pytest.approx(100 * max(own))
        assert trace.x[-1] == len(own)


def test_plots_of_a_minimised_objective_show_its_values(comparison: Comparison) -> None:
    records = [
        record.model_copy(
            update={"config": record.config | {"objective": "log_loss"}, "curve": [each - 2 for each in record.curve]}
        )
        for record in searched(comparison)
    ]
    best, curves, lines = (
        draw(records) for draw in (figures.best_so_far, figures.learning_curves, parallel_coordinates)
    )
    assert best is not None
    assert curves is not None
    assert lines is not None
    lowest = min(-max(record.curve) for record in records)
    assert lowest > 1
    for trace in best.data:
        assert list(trace.y) == sorted(trace.y, reverse=True)
    assert min(trace.y[-1] for trace in best.data) == pytest.approx(lowest)
    assert min(y for trace in curves.data for y in trace.y if y is not None) == pytest.approx(lowest, abs=1e-3)
    assert best.layout.yaxis.title.text == "best log_loss on val, nats"
    assert curves.layout.yaxis.title.text == "log_loss on val, nats"
    assert min(lines.data[0].dimensions[-1].values) == pytest.approx(lowest)
    assert (lines.data[0].dimensions[-1].label, lines.data[0].line.reversescale) == ("val nats", True)


def test_learning_curves_contain_every_trial(comparison: Comparison) -> None:
    figure = figures.learning_curves(comparison.records)
    assert figure is not None
    gaps = sum(list(trace.x).count(None) for trace in figure.data)
    assert gaps == len(searched(comparison))


def test_parallel_coordinates_contain_every_searched_value(comparison: Comparison) -> None:
    figure = parallel_coordinates(comparison.records)
    assert figure is not None
    axes = {axis.label: axis for axis in figure.data[0].dimensions}
    names = {name for record in searched(comparison) for name in record.values}
    assert axes.keys() == {"pair", *names, "val %"}
    assert sorted(axes["val %"]["values"]) == sorted(100 * max(record.curve) for record in searched(comparison))
    assert axes["mapping.kind"].ticktext == ("bayesian", "frequency", "linear")
    conditional = axes["temperature.end"]
    assert conditional.ticktext[0] == NOT_SEARCHED
    absent = sum("temperature.end" not in record.values for record in searched(comparison))
    assert list(conditional["values"]).count(conditional.tickvals[0]) == absent > 0


def test_importance_ranks_the_decisive_parameter_first() -> None:
    found = importances_of(made_search(200).records)
    assert found[0].name == "mapping.kind"
    assert all(0 <= each.mean <= 1 and each.sd >= 0 for each in found)
    assert importances_of(made_search(200).records[: MIN_TRIALS - 1]) == []


def test_pareto_front_rises_with_cost(comparison: Comparison) -> None:
    figure = figures.pareto(comparison.board)
    assert figure is not None
    front = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert len(front) == 3
    for trace in front:
        assert list(trace.x) == sorted(trace.x)
        assert list(trace.y) == sorted(trace.y)


def test_matrix_keeps_values_and_shortens_names() -> None:
    figure = figures.matrix(HOSTILE, HOSTILE, np.eye(6).tolist(), row_name="row", column_name="column")
    (heat,) = figure.data
    assert np.asarray(heat.z).tolist() == np.eye(6).tolist()
    assert all(len(name) <= 40 and "<" not in name for name in heat.x)


def test_thinned_selects_evenly_and_keeps_the_last_item() -> None:
    assert figures.thinned(range(5), 9) == [0, 1, 2, 3, 4]
    selected = figures.thinned(range(1000), 10)
    assert (len(selected), selected[0], selected[-1]) == (10, 0, 999)


def test_empty_search_has_a_page_without_plots() -> None:
    page = render_page([Comparison([Search("empty", [])])])
    assert '<div class="plot">' not in page
    assert "nothing to ship" in page


def test_figure_json_cannot_end_its_script_element() -> None:
    page = render_page([Comparison([made_search(names=HOSTILE)])])
    for part in page.split('<script type="application/json">')[1:]:
        json.loads(part.split("</script>")[0])
