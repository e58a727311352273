"""Compare the rows of a leaderboard with one another: Pareto fronts and corrected p values."""

from collections.abc import Sequence
from dataclasses import replace

from tdmr_ray.pareto import front_numbers
from tdmr_ray.report.row import Row
from tdmr_ray.report.statistics import holm

COSTS = ("latency_ms", "params", "macs")
"""Costs that have a Pareto front."""


def with_fronts(rows: Sequence[Row], sign: int = 1) -> list[Row]:
    """Return the rows with the costs for which each is on the Pareto front of the result on val against cost.

    Args:
        rows: Rows of a leaderboard.
        sign: -1 if a smaller result is better.
    """
    fronts: list[list[str]] = [[] for _ in rows]
    for cost in COSTS:
        indices = [index for index, row in enumerate(rows) if cost in row.cost]
        numbers = front_numbers([(sign * rows[index].val.mean, -rows[index].cost[cost]) for index in indices])
        for index, number in zip(indices, numbers, strict=True):
            fronts[index] += [cost] if number == 0 else []
    return [replace(row, front=tuple(front)) for row, front in zip(rows, fronts, strict=True)]


def with_corrected_p_values(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with each control's p value corrected for all comparisons in them."""
    raw = {(index, role): control.p_value for index, row in enumerate(rows) for role, control in row.controls.items()}
    known = {key: value for key, value in raw.items() if value is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        replace(
            row,
            controls={
                role: replace(control, p_value=corrected.get((index, role))) for role, control in row.controls.items()
            },
        )
        for index, row in enumerate(rows)
    ]
