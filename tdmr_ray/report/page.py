"""Render a report as one HTML page that works offline: it sends no request, and all values are escaped."""

import base64
import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from pydantic import ValidationError

from tdmr_ray.content_security import content_security_policy
from tdmr_ray.records import TrialRecord, complete
from tdmr_ray.report import exported, figures
from tdmr_ray.report.folder import Comparison
from tdmr_ray.report.formatting import percent
from tdmr_ray.report.importance import importances_of
from tdmr_ray.report.parallel_coordinates import parallel_coordinates
from tdmr_ray.report.per_class import class_table, explain, per_class
from tdmr_ray.report.published import every_reading
from tdmr_ray.report.reliability_plot import explain_reliability, reliability_plot
from tdmr_ray.report.tables import table
from tdmr_ray.report.wording import NOTES, alarms, cautions, sentence, summary
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.visualizations import Disagreement, Visualizations
from tdmr_ray.tuning.ranking import rank

NAME_COLUMNS = ("method", "foundation", "target", "Pareto")
EXPORTED_NAMES = ("model", "file", "format", "precision", "state")
NUM_CONFUSIONS = 4
PLOTLY_COMPILES = "'unsafe-eval'"
"""Plotly compiles the shaders of parallel coordinates."""


@dataclass(frozen=True)
class Plot:
    """A figure in JSON with its title and an explanation."""

    title: str
    note: str
    json: Markup


@dataclass(frozen=True)
class Gallery:
    """Learned prompt of a pair's best finalist, and val images on which its teacher and target disagree."""

    title: str
    prompt: str
    disagreements: list[Disagreement]


def render_page(comparisons: Sequence[Comparison]) -> str:
    """Render the page for one or more leaderboards."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tdmr_ray.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    script = environment.get_template("page.js").render()
    return environment.get_template("page.html").render(
        policy=content_security_policy(scripts=[script, get_plotlyjs()], compiles=PLOTLY_COMPILES, inline_styles=True),
        script=Markup(script),
        title=" | ".join(each.title for each in comparisons),
        sections=[_section(each) for each in comparisons],
        names=NAME_COLUMNS,
        exported_names=EXPORTED_NAMES,
        notes=NOTES,
        plotly=_packed_plotly(),
        percent=percent,
    )


@cache
def _packed_plotly() -> str:
    """Compress plotly's script and encode it in base 64; the page unpacks it."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _section(comparison: Comparison) -> dict[str, Any]:
    board = comparison.board
    frame = table(board)
    winners, by_class = _winners(comparison), per_class(comparison)
    return {
        "title": comparison.title,
        "sentence": sentence(board),
        "alarms": alarms(board),
        "cautions": cautions(board),
        "columns": list(frame.columns),
        "cells": frame.to_numpy().tolist(),
        "shipped": board.models.index(board.recommended) if board.recommended else None,
        "rows": board.rows,
        "per_class": class_table(by_class) if by_class else None,
        "per_class_note": explain(by_class) if by_class else "",
        "exported": exported.exported_table(comparison.exported) if comparison.exported else None,
        "exported_note": exported.NOTES,
        "plots": list(_plots(comparison, winners)),
        "galleries": [
            _gallery(record, comparison.visualizations[record.id])
            for record in winners
            if record.id in comparison.visualizations
        ],
        "inspections": [(each.title, each.inspection) for each in comparison.searches if each.inspection],
        "readings": every_reading(comparison),
        "failures": board.failures,
        "summary": summary(board),
        "searches": comparison.searches,
    }


def _winners(comparison: Comparison) -> list[TrialRecord]:
    """Return each pair's best confirmed trial by TDMR on val, in the leaderboard's order."""
    best: dict[tuple[str, str], TrialRecord] = {}
    for record in sorted(complete(comparison.records, phase="confirm"), key=rank):
        best[record.pair.foundation, record.pair.target] = record
    return [best[row.foundation, row.target] for row in comparison.board.rows if (row.foundation, row.target) in best]


def _is_known(record: TrialRecord) -> bool:
    """Return whether this version accepts the configuration of a trial."""
    try:
        TrialConfig.model_validate(record.config)
    except ValidationError:
        return False
    return True


def _plots(comparison: Comparison, winners: Sequence[TrialRecord]) -> Iterable[Plot]:
    """Draw all plots for which there is data."""
    records, objective = comparison.records, comparison.board.objective
    pairs = dict.fromkeys(record.pair.title for record in records if record.phase == "search")
    by_pair = [(name, [record for record in records if record.pair.title == name]) for name in pairs]
    drawn: list[tuple[str, str, Callable[[], go.Figure | None]]] = [
        (
            "Comparison with the rivals",
            "Results on test of what ships, with 95 % confidence intervals over seeds and test images.",
            lambda: figures.against_controls(comparison.board),
        ),
        (
            "Result against cost",
            "The Pareto front holds the rows for which no other is both better and cheaper.",
            lambda: figures.pareto(comparison.board),
        ),
        (
            "Best so far",
            f"Best {objective} on val in each pair's search, over its trials and over time.",
            lambda: figures.best_so_far(records),
        ),
        (
            "Learning curves",
            f"Best {objective} on val so far after each epoch of the search's trials.",
            lambda: figures.learning_curves(records),
        ),
        (
            "What was searched",
            "Each line is a trial. Drag along an axis to select trials.",
            lambda: parallel_coordinates(records),
        ),
        (
            "Parameter importance",
            "Share of the variance of accuracy between a pair's trials that depends on a parameter. Parameters without "
            "an effect that can be told from chance are not shown, and pairs without such a parameter neither.",
            lambda: figures.importances([(name, importances_of(own)) for name, own in by_pair]),
        ),
        (
            "Temperature and stages",
            "Temperature in each epoch of each pair's best finalist.",
            lambda: figures.timeline(filter(_is_known, winners)),
        ),
    ]
    for title, note, draw in drawn:
        figure = draw()
        if figure is not None:
            yield Plot(title, note, _json(figure))
    models = dict.fromkeys(model for search in comparison.searches for model in search.reliability)
    for model in list(models)[:NUM_CONFUSIONS]:
        yield Plot(f"Reliability: {model.title}", explain_reliability(model), _json(reliability_plot(model)))
    for record in winners[:NUM_CONFUSIONS]:
        yield from _matrices(record, comparison.visualizations.get(record.id))


def _matrices(record: TrialRecord, shown: Visualizations | None) -> Iterable[Plot]:
    """Draw a finalist's confusion matrix on test and the strongest source classes of its label mapping."""
    names = shown["class_names"] if shown else []
    if record.confusion:
        names = names or [str(number) for number in range(len(record.confusion))]
        figure = figures.matrix(
            names, names, record.confusion, row_name="true class", column_name="predicted class on test"
        )
        yield Plot(
            f"Confusion matrix: {record.pair.title}", f"Predictions on test with seed {record.seed}.", _json(figure)
        )
    if shown and shown["mapping"]:
        strongest = [dict(pairs) for pairs in shown["mapping"]]
        sources = list(dict.fromkeys(source for weights in strongest for source in weights))
        table = [[weights.get(source, 0.0) for weights in strongest] for source in sources]
        figure = figures.matrix(sources, names, table, row_name="source class", column_name="task class")
        yield Plot(
            f"Label mapping: {record.pair.title}", "The strongest source classes of each task class.", _json(figure)
        )


def _gallery(record: TrialRecord, shown: Visualizations) -> Gallery:
    return Gallery(record.pair.title, shown["prompt"], shown["disagreements"])


def _json(figure: go.Figure) -> Markup:
    """Encode a figure for a script element; nothing in it can end the element."""
    text = figure.to_json().replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(text)
