"""Plotly figures of a report, drawn from trial records; readable on a light and on a dark background."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tdmr_ray.method.schedules import SCHEDULES, Moment
from tdmr_ray.records import TDMR, TrialRecord
from tdmr_ray.report.formatting import scale_of, unit
from tdmr_ray.report.importance import Importance
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.row import Row
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.metrics import value_of
from tdmr_ray.training.stage_plan import stages_of
from tdmr_ray.tuning.ranking import objective_of

COLOURS = ("#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#0891b2", "#65a30d", "#dc2626")
GREY, LINES = "#808080", "rgba(128,128,128,0.25)"
COST_NAMES = {"latency_ms": "latency, ms", "params": "parameters", "macs": "MACs"}
MAX_CURVES, MAX_LINES = 150, 1500
"""Largest number of learning curves per pair, and of parallel coordinates; of more, an even selection is drawn."""


def thinned(items: Sequence[Any], most: int) -> list[Any]:
    """Select at most `most` items at even distances; the last one is always kept."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, most).round().astype(int)]


def styled(figure: go.Figure, *, height: int = 380) -> go.Figure:
    """Apply the style that all figures share; its colours suit a light and a dark background."""
    figure.update_layout(
        height=height,
        margin={"l": 55, "r": 15, "t": 70, "b": 45},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "orientation": "v"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "family": "system-ui, sans-serif", "size": 12},
        legend={"orientation": "h", "yref": "container", "yanchor": "top", "y": 1},
        template="none",
    )
    figure.update_xaxes(gridcolor=LINES, linecolor=LINES, zerolinecolor=LINES, automargin=True)
    figure.update_yaxes(gridcolor=LINES, linecolor=LINES, zerolinecolor=LINES, automargin=True)
    return figure


def against_controls(board: Leaderboard) -> go.Figure | None:
    """Plot the final results on test of each finalist and of its rivals, with 95 % intervals."""
    rows = [row for row in board.rows if row.test is not None and row.controls]
    if not rows:
        return None
    figure, scale = go.Figure(), scale_of(board.objective)
    ends: list[float] = []
    for number, role in enumerate((TDMR, *board.controls)):
        found = [
            (row.name, row.final if role == TDMR else row.controls[role].final)
            for row in rows
            if role == TDMR or role in row.controls
        ]
        known = [(name, each) for name, each in found if each is not None]
        bars = [0.0 if each.high is None else scale * (each.high - each.mean) for _, each in known]
        ends += [scale * each.mean + sign * bar for (_, each), bar in zip(known, bars, strict=True) for sign in (-1, 1)]
        figure.add_trace(
            go.Scatter(
                y=[short_name(name) for name, _ in known],
                x=[scale * each.mean for _, each in known],
                error_x={"type": "data", "array": bars, "thickness": 1.2, "width": 3},
                mode="markers",
                name=role,
                marker={"color": COLOURS[number % len(COLOURS)], "size": 11 if role == TDMR else 7},
                offsetgroup=role,
                orientation="h",
            )
        )
    figure.update_layout(scattermode="group", scattergap=0.3)
    margin = 0.005 * scale
    ends = [max(0.0, min(ends)) - margin, max(ends) + margin]
    figure.update_xaxes(title_text=f"{board.objective} on test, {unit(board.objective)}", range=ends)
    figure.update_yaxes(autorange="reversed", type="category")
    return styled(figure, height=150 + 22 * len(rows) * (1 + len(board.controls)))


def pareto(board: Leaderboard) -> go.Figure | None:
    """Plot the objective on val against each cost; a line joins the rows on the Pareto front."""
    costs = [name for name in COST_NAMES if any(name in row.cost for row in board.rows)]
    if not costs:
        return None
    figure = make_subplots(rows=1, cols=len(costs), shared_yaxes=True, horizontal_spacing=0.03)
    for column, cost in enumerate(costs, start=1):
        rows = sorted((row for row in board.rows if cost in row.cost), key=lambda row: row.cost[cost])
        front = [row for row in rows if cost in row.front]
        for points, mode, name in ((rows, "markers", "all rows"), (front, "lines+markers", "Pareto front")):
            figure.add_trace(
                _cost_points(points, cost, mode, name, board.objective, legend=column == 1), row=1, col=column
            )
        figure.update_xaxes(title_text=COST_NAMES[cost], row=1, col=column)
    figure.update_yaxes(title_text=_axis_title(board.objective), row=1, col=1)
    return styled(figure)


def _cost_points(rows: Sequence[Row], cost: str, mode: str, name: str, objective: str, *, legend: bool) -> go.Scatter:
    front = mode != "markers"
    return go.Scatter(
        x=[row.cost[cost] for row in rows],
        y=[scale_of(objective) * row.val.mean for row in rows],
        text=[row.name for row in rows],
        mode=mode,
        name=name,
        legendgroup=name,
        showlegend=legend,
        marker={"color": COLOURS[0] if front else GREY, "size": 11 if front else 6},
        line={"color": COLOURS[0], "shape": "hv"},
        hovertemplate=f"%{{text}}<br>%{{x:.4g}}, %{{y:.3g}} {unit(objective)}<extra></extra>",
    )


def best_so_far(records: Iterable[TrialRecord]) -> go.Figure | None:
    """Plot the best value of the objective on val in each pair's search so far, over its trials and over hours."""
    searched = [record for record in records if record.phase == "search" and record.curve]
    if not searched:
        return None
    objective = objective_of(searched[0])
    ends = {record.id: datetime.fromisoformat(record.ended) for record in searched if record.ended}
    timed = len(ends) == len(searched)
    figure = make_subplots(rows=1, cols=1 + timed, shared_yaxes=True, horizontal_spacing=0.04)
    started = min((ends[record.id].timestamp() - record.seconds for record in searched if record.ended), default=0.0)
    for number, name in enumerate(dict.fromkeys(record.pair.title for record in searched)):
        own = [record for record in searched if record.pair.title == name]
        best = np.maximum.accumulate([max(record.curve) for record in own])
        steps = np.flatnonzero(np.diff(best, prepend=-np.inf) > 0).tolist()
        shown = sorted({*steps, len(own) - 1})
        style: dict[str, Any] = {
            "mode": "lines+markers",
            "name": name,
            "legendgroup": name,
            "line": {"shape": "hv", "color": COLOURS[number % len(COLOURS)]},
        }
        heights = [height_of(score, objective) for score in best[shown].tolist()]
        figure.add_trace(go.Scatter(x=[index + 1 for index in shown], y=heights, **style), row=1, col=1)
        if timed:
            hours = [(ends[own[index].id].timestamp() - started) / 3600 for index in shown]
            figure.add_trace(go.Scatter(x=hours, y=heights, showlegend=False, **style), row=1, col=2)
    figure.update_xaxes(title_text="number of trials", row=1, col=1)
    if timed:
        figure.update_xaxes(title_text="hours since the start", row=1, col=2)
    figure.update_yaxes(title_text=f"best {_axis_title(objective)}", row=1, col=1)
    return styled(figure)


def learning_curves(records: Iterable[TrialRecord]) -> go.Figure | None:
    """Plot the objective on val after each epoch of the search's trials; trials that were stopped early are grey."""
    searched = [record for record in records if record.phase == "search" and record.curve]
    names = list(dict.fromkeys(record.pair.title for record in searched))
    if not names:
        return None
    figure = make_subplots(
        rows=-(-len(names) // 2), cols=min(2, len(names)), subplot_titles=[short_name(name) for name in names]
    )
    for number, name in enumerate(names):
        cell = {"row": number // 2 + 1, "col": number % 2 + 1}
        own = [record for record in searched if record.pair.title == name]
        for state, colour in (("complete", COLOURS[0]), ("pruned", "rgba(128,128,128,0.6)")):
            figure.add_trace(
                _curves([record for record in own if record.state == state], state, colour, legend=not number), **cell
            )
    figure.update_annotations(font={"size": 11})
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text=_axis_title(objective_of(searched[0])))
    return styled(figure, height=80 + 300 * -(-len(names) // 2))


def height_of(score: float, objective: str) -> float:
    """Return the value of the objective that has a score, in its unit."""
    return scale_of(objective) * value_of(score, objective)


def _axis_title(objective: str) -> str:
    return f"{objective} on val, {unit(objective)}"


def _curves(records: list[TrialRecord], state: str, colour: str, *, legend: bool) -> go.Scatter:
    """Join all curves into one trace with gaps between them; a page with a thousand traces would be slow."""
    epochs: list[float | None] = []
    heights: list[float | None] = []
    for record in thinned(records, MAX_CURVES):
        epochs += [*range(1, len(record.curve) + 1), None]
        objective = objective_of(record)
        heights += [*(round(height_of(score, objective), 4) for score in record.curve), None]
    name = {"pruned": "stopped early", "complete": "finished"}[state]
    return go.Scatter(
        x=epochs,
        y=heights,
        mode="lines",
        name=name,
        legendgroup=name,
        showlegend=legend,
        line={"color": colour, "width": 1},
    )


def importances(found: Sequence[tuple[str, list[Importance]]]) -> go.Figure | None:
    """Plot the importance of each searched parameter, with its standard deviation."""
    found = [(name, rows) for name, rows in found if rows]
    if not found:
        return None
    figure = go.Figure()
    for number, (name, rows) in enumerate(found):
        figure.add_trace(
            go.Bar(
                y=[row.name for row in rows],
                x=[row.mean for row in rows],
                error_x={"type": "data", "array": [row.sd for row in rows], "thickness": 1, "color": GREY},
                orientation="h",
                name=name,
                marker={"color": COLOURS[number % len(COLOURS)]},
            )
        )
    figure.update_xaxes(
        title_text="share of the variance of accuracy (error bars: standard deviation over halves of the trials)"
    )
    figure.update_yaxes(autorange="reversed")
    height = 120 + 22 * max(len(rows) for _, rows in found) * max(1, len(found))
    return styled(figure, height=min(900, height)).update_layout(barmode="group")


def timeline(finalists: Iterable[TrialRecord]) -> go.Figure | None:
    """Plot temperature and stages of each pair's best finalist; a learned temperature is a line between its bounds.

    Raises:
        pydantic.ValidationError: If this version does not accept a finalist's configuration.
    """
    figure = go.Figure()
    for number, record in enumerate(finalists):
        config = TrialConfig.model_validate(record.config)
        temperature, epochs, plan = config.temperature, config.distill.epochs, stages_of(config)
        schedule, stages = SCHEDULES[temperature.schedule](temperature), len(plan)
        colour = COLOURS[number % len(COLOURS)]
        heights = [
            schedule.planned(Moment(epoch / max(1, epochs - 1), stage.index, stages))
            for stage in plan
            for epoch in range(stage.first_epoch, stage.last_epoch + 1)
        ]
        starts = [stage.first_epoch for stage in plan]
        figure.add_trace(
            go.Scatter(
                x=list(range(1, epochs + 1)),
                y=heights,
                mode="lines+markers",
                name=f"{short_name(record.pair.title)}: {temperature.schedule}, {stages} stage{'s' * (stages > 1)}",
                line={"color": colour},
                marker={"color": colour, "size": [11 if epoch in starts else 0 for epoch in range(epochs)]},
            )
        )
    if not figure.data:
        return None
    figure.update_xaxes(title_text="epoch (a dot marks the first epoch of a stage)")
    figure.update_yaxes(title_text="temperature", rangemode="tozero")
    return styled(figure)


def matrix(
    rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]], *, row_name: str, column_name: str
) -> go.Figure:
    """Plot a heat map with named rows and columns; 0 is transparent."""
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=[short_name(name) for name in columns],
            y=[short_name(name) for name in rows],
            colorscale=[[0, "rgba(37,99,235,0)"], [1, "rgba(37,99,235,1)"]],
            showscale=False,
            hovertemplate="%{y}, %{x}: %{z}<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=column_name, type="category", side="top", dtick=step_of(len(columns)))
    figure.update_yaxes(title_text=row_name, type="category", autorange="reversed", dtick=step_of(len(rows)))
    figure = styled(figure, height=max(300, min(900, 160 + 24 * len(rows))))
    return figure.update_xaxes(showgrid=False).update_yaxes(showgrid=False)


def step_of(count: int, most: int = 40) -> int:
    """Return the step between the labelled ticks of an axis, so that at most `most` names are written."""
    return -(-count // most)


def short_name(name: str, most: int = 40) -> str:
    """Shorten a name for display, without characters that plotly takes for markup."""
    name = name.replace("->", "→")
    cut = name if len(name) <= most else f"{name[: most - 1]}…"
    return cut.replace("<", "‹").replace(">", "›")
