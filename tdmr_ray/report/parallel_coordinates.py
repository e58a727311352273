"""Figure of the searched values of all trials, one axis for each parameter."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tdmr_ray.records import TrialRecord
from tdmr_ray.report.figures import MAX_LINES, height_of, short_name, styled, thinned
from tdmr_ray.report.formatting import unit
from tdmr_ray.training.metrics import METRICS
from tdmr_ray.tuning.ranking import objective_of

NOT_SEARCHED = "(not searched)"


def parallel_coordinates(records: Iterable[TrialRecord]) -> go.Figure | None:
    """Plot each trial as a line through the values of the searched parameters, coloured by the objective on val."""
    shown = [record for record in records if record.phase == "search" and record.curve]
    shown = thinned(sorted(shown, key=lambda record: max(record.curve)), MAX_LINES)
    if not shown:
        return None
    names = list(dict.fromkeys(name for record in shown for name in record.values))
    objective = objective_of(shown[0])
    heights = [height_of(max(record.curve), objective) for record in shown]
    dimensions = [_dimension("pair", [short_name(record.pair.title) for record in shown])]
    dimensions += [_dimension(name, [record.values.get(name) for record in shown]) for name in names]
    dimensions.append({"label": f"val {unit(objective)}", "values": heights})
    line = {
        "color": heights,
        "colorscale": "Viridis",
        "showscale": True,
        "reversescale": not METRICS[objective].greater_is_better,
    }
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line=line, labelangle=-20, labelside="top"))
    figure = styled(figure, height=460)
    return figure.update_layout(margin={"l": 190, "r": 40, "t": 110, "b": 40})


def _dimension(name: str, values: list[Any]) -> dict[str, Any]:
    """Make an axis: numbers to scale, other values at equal distances, and trials without the parameter below all."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return _number_dimension(name, values, known)
    labels = [NOT_SEARCHED] * (len(known) < len(values)) + sorted({short_name(str(value)) for value in known})
    positions = [labels.index(NOT_SEARCHED if value is None else short_name(str(value))) for value in values]
    return {"label": name, "values": positions, "tickvals": list(range(len(labels))), "ticktext": labels}


def _number_dimension(name: str, values: list[Any], known: list[Any]) -> dict[str, Any]:
    if len(known) == len(values):
        return {"label": name, "values": values}
    low, high = min(known, default=0), max(known, default=1)
    below = low - 0.15 * ((high - low) or 1)
    ticks = np.linspace(low, high, 4).tolist()
    return {
        "label": name,
        "values": [below if value is None else value for value in values],
        "tickvals": [below, *ticks],
        "ticktext": [NOT_SEARCHED, *(f"{tick:.2g}" for tick in ticks)],
    }
