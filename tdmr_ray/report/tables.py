"""A leaderboard as data frames: rounded for people, narrow for a terminal, flat for spreadsheets."""

from dataclasses import asdict

import pandas as pd

from tdmr_ray.report.formatting import MISSING, amount, milliseconds, percent, points_over, spread
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.row import Row

FRONT_NAMES = {"latency_ms": "latency", "params": "params", "macs": "MACs"}
NARROW = ("foundation", "target", "val %", "test %", "scratch test %")


def table(board: Leaderboard) -> pd.DataFrame:
    """Format the leaderboard, one line per row."""
    return pd.DataFrame([_cells(rank, row, board.controls) for rank, row in enumerate(board.rows, start=1)])


def narrow_table(board: Leaderboard) -> pd.DataFrame:
    """Format the columns that fit on a terminal."""
    wide = table(board)
    return wide[[name for name in NARROW if name in wide.columns]]


def flat_table(board: Leaderboard) -> pd.DataFrame:
    """Return the unrounded figures, one line per row and one column per figure."""
    return pd.json_normalize([asdict(row) for row in board.rows])


def _cells(rank: int, row: Row, controls: tuple[str, ...]) -> dict[str, str]:
    cells = {
        "rank": str(rank),
        "foundation": row.foundation,
        "target": row.target,
        "val %": spread(row.val) if row.confirmed else f"{percent(row.val.mean)} (1 trial)",
        "tied with best": ("yes" if row.tied else "no") if row.confirmed else MISSING,
        "test %": spread(row.test),
        "seeds": str(row.val.n) if row.confirmed else MISSING,
        "test images": str(row.num_test_images) if row.num_test_images else MISSING,
    }
    for name in controls:
        control = row.controls.get(name)
        cells[f"{name} test %"] = spread(control.test) if control else MISSING
    if "scratch" in controls:
        cells["gain over scratch, points [95 % CI]"] = points_over(row.controls.get("scratch"))
    cells |= {
        "params": amount(row.cost.get("params")),
        "MACs": amount(row.cost.get("macs")),
        "latency ms": milliseconds(row.cost.get("latency_ms")),
        "p95 ms": milliseconds(row.cost.get("latency_p95_ms")),
        "Pareto": ", ".join(FRONT_NAMES[name] for name in row.front) or MISSING,
        "trials": "/".join(str(row.num_trials.get(state, 0)) for state in ("complete", "pruned", "failed")),
        "search s": f"{row.search_seconds:.0f}",
        "teacher val %": percent(row.teacher_val) + (" (below scratch)" if row.teacher_below_scratch else ""),
    }
    return cells
