"""A leaderboard as data frames: rounded for people, narrow for a terminal, flat for spreadsheets."""

from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd

from tdmr_ray.records import TDMR
from tdmr_ray.report.formatting import MISSING, amount, figure_cell, gain_cell, milliseconds, percent, significant, unit
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.row import Control, Figures, Row
from tdmr_ray.training.controls import CONTROLS

FRONT_NAMES = {"latency_ms": "latency", "params": "params", "macs": "MACs"}
NARROW = ("method", "foundation", "target", "val", "test", "refit")
"""Columns that fit on a terminal, without their unit."""

Entry = tuple[str, Row, Figures]
"""Method, the finalist that is meant or compared with, and the figures of the method."""


def entries(board: Leaderboard) -> list[Entry]:
    """List the lines of the leaderboard: models that may ship, other rivals, and finalists that are not confirmed."""
    lines: dict[str, Entry] = {}
    for method, row, figures in _entries(board):
        lines.setdefault(figures.recipe if row.confirmed else row.name, (method, row, figures))
    return list(lines.values())


def _entries(board: Leaderboard) -> Iterator[Entry]:
    yield from ((model.method, model.row, model.figures) for model in board.models)
    yield from ((name, row, each) for row in board.rows for name, each in row.controls.items() if not each.ships)
    yield from ((TDMR, row, row) for row in board.rows if not row.confirmed)


def table(board: Leaderboard) -> pd.DataFrame:
    """Format the leaderboard, one line for each finalist and rival."""
    return pd.DataFrame([_cells(rank, entry, board) for rank, entry in enumerate(entries(board), start=1)])


def narrow_table(board: Leaderboard) -> pd.DataFrame:
    """Format the columns that fit on a terminal."""
    wide = table(board)
    return wide[[name for name in wide.columns if name.removesuffix(f" {unit(board.objective)}") in NARROW]]


def flat_table(board: Leaderboard) -> pd.DataFrame:
    """Return the unrounded figures, one line per row and one column per figure."""
    return pd.json_normalize([asdict(row) for row in board.rows])


def _cells(rank: int, entry: Entry, board: Leaderboard) -> dict[str, str]:
    method, row, figures = entry
    objective, of = board.objective, unit(board.objective)
    cells = {
        "rank": str(rank),
        **_names(method, row),
        f"val {of}": figure_cell(figures.val, objective) + ("" if row.confirmed else " (1 trial)"),
        "tied with best": _tied(row, figures),
        f"test {of}": figure_cell(figures.test, objective),
        f"refit {of}": figure_cell(figures.refit, objective),
    }
    if any(each.cv for _, _, each in entries(board)):
        cells[f"cross-validation {of}"] = figure_cell(figures.cv, objective)
    cells |= _gains(figures, objective)
    return cells | {
        "steps": _steps(figures),
        "learning rate": _rate(figures),
        "seeds": str(figures.val.n) if row.confirmed else MISSING,
        "test images": str(row.num_test_images) if row.num_test_images else MISSING,
        **(_costs(row) if _has_target(method) else dict.fromkeys(_costs(row), MISSING)),
        **(_search(row) if method == TDMR else dict.fromkeys(_search(row), MISSING)),
    }


def _names(method: str, row: Row) -> dict[str, str]:
    return {
        "method": "TDMR" if method == TDMR else method,
        "foundation": row.foundation if _has_foundation(method) else MISSING,
        "target": row.target if _has_target(method) else MISSING,
    }


def _tied(row: Row, figures: Figures) -> str:
    ships = not isinstance(figures, Control) or figures.ships
    return ("yes" if figures.tied else "no") if row.confirmed and ships else MISSING


def _gains(figures: Figures, objective: str) -> dict[str, str]:
    names = ("gain of TDMR [95 % CI]", "after refit [95 % CI]")
    if not isinstance(figures, Control):
        return dict.fromkeys(names, MISSING)
    mark = "*" if significant(figures.p_value) else ""
    return dict(
        zip(names, (gain_cell(figures.gain, objective) + mark, gain_cell(figures.refit_gain, objective)), strict=True)
    )


def _costs(row: Row) -> dict[str, str]:
    return {
        "params": amount(row.cost.get("params")),
        "MACs": amount(row.cost.get("macs")),
        "latency ms": milliseconds(row.cost.get("latency_ms")),
        "p95 ms": milliseconds(row.cost.get("latency_p95_ms")),
        "Pareto": ", ".join(FRONT_NAMES[name] for name in row.front) or MISSING,
    }


def _search(row: Row) -> dict[str, str]:
    return {
        "trials": "/".join(str(row.num_trials.get(state, 0)) for state in ("complete", "pruned", "failed")),
        "search s": f"{row.search_seconds:.0f}",
        "teacher val %": percent(row.teacher_val) + (" (below scratch)" if row.teacher_below_scratch else ""),
    }


def _steps(figures: Figures) -> str:
    """Format the optimisation steps before and in the refit."""
    if not figures.steps:
        return MISSING
    return f"{figures.steps:.0f}" + (f" / {figures.refit_steps:.0f}" if figures.refit_steps else "")


def _rate(figures: Figures) -> str:
    return f"{figures.lr:.2g}" if isinstance(figures, Control) and figures.lr else MISSING


def _has_foundation(method: str) -> bool:
    return method == TDMR or method not in CONTROLS or CONTROLS[method].has_foundation


def _has_target(method: str) -> bool:
    return method == TDMR or method not in CONTROLS or CONTROLS[method].has_target
