"""Leaderboards as people read them: sentences, tables, Markdown."""

from dataclasses import asdict
from datetime import timedelta

import pandas as pd

from tdmr_ray.prices import load_prices
from tdmr_ray.report.leaderboard import Control, Leaderboard, Row
from tdmr_ray.report.statistics import CONFIDENCE, Estimate

ENOUGH_SEEDS = 5
MISSING = "-"
FRONT_NAMES = {"latency_ms": "latency", "params": "params", "macs": "MACs"}


def percent(value: float | None) -> str:
    """0.9543 to '95.4'."""
    return MISSING if value is None else f"{100 * value:.1f}"


def spread(figure: Estimate | None) -> str:
    """'95.4 ± 0.3' in percent: mean and standard deviation between seeds."""
    if figure is None:
        return MISSING
    return percent(figure.mean) + ("" if figure.sd is None else f" ± {100 * figure.sd:.1f}")


def points(gain: Estimate | None) -> str:
    """'+3.4 [+1.2, +5.6]': a difference in percentage points with its 95 % interval."""
    if gain is None:
        return MISSING
    if gain.low is None or gain.high is None:
        return f"{100 * gain.mean:+.1f}"
    return f"{100 * gain.mean:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def points_over(control: Control | None) -> str:
    """A finalist's gain over a control, with an asterisk if it is one beyond chance after correction."""
    if control is None:
        return MISSING
    return points(control.gain) + ("*" if control.p_value is not None and control.p_value < 1 - CONFIDENCE else "")


def milliseconds(value: float | None) -> str:
    """0.8512 to '0.85'."""
    return MISSING if value is None else f"{value:.2f}"


def amount(value: float | None) -> str:
    """578474 to '578 k'."""
    if value is None:
        return MISSING
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def table(board: Leaderboard) -> pd.DataFrame:
    """The leaderboard as people read it, one line a row."""
    return pd.DataFrame([_cells(rank, row, board.controls) for rank, row in enumerate(board.rows, start=1)])


def _cells(rank: int, row: Row, controls: tuple[str, ...]) -> dict[str, str]:
    cells = {
        "rank": str(rank),
        "foundation": row.foundation,
        "target": row.target,
        "val %": spread(row.val) if row.confirmed else f"{percent(row.val.mean)} (1 run)",
        "tied with the best": ("yes" if row.tied else "no") if row.confirmed else MISSING,
        "test %": spread(row.test),
        "seeds": str(row.val.n) if row.confirmed else MISSING,
        "test images": str(row.num_test_images) if row.num_test_images else MISSING,
    }
    for name in controls:
        control = row.controls.get(name)
        cells[f"{name} test %"] = spread(control.test) if control else MISSING
    if "scratch" in controls:
        cells["points over scratch [95 %]"] = points_over(row.controls.get("scratch"))
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


def sentence(board: Leaderboard) -> str:
    """What to ship, in one sentence with its reasons."""
    if not board.rows:
        return "No trial finished, so there is nothing to ship."
    best, row = board.rows[0], board.recommended
    if row is None or row.test is None:
        return f"Best in the search: {best.name} with {percent(best.val.mean)} % on val. It is not confirmed on test."
    scratch = row.controls.get("scratch")
    if row.below_scratch and scratch is not None:
        return (
            f"The teacher did not help on val: ship the target trained from scratch, {row.target} with "
            f"{spread(scratch.test)} % on test; {row.name} has {spread(row.test)} %."
        )
    reasons = [f"{spread(row.test)} % on test", _rank(board, row)]
    if "latency_ms" in row.cost:
        reasons.append(f"{milliseconds(row.cost['latency_ms'])} ms")
    if scratch is not None:
        chance = " (chance is not ruled out)" if _may_be_zero(scratch.gain) else ""
        reasons.append(f"{points(scratch.gain)} points over the same target without a teacher{chance}")
    return f"Ship {row.name}: {', '.join(reasons)}."


def _may_be_zero(gain: Estimate | None) -> bool:
    return gain is None or gain.low is None or gain.high is None or gain.low <= 0 <= gain.high


def _rank(board: Leaderboard, row: Row) -> str:
    """Where a recommended row stands on val."""
    rivals = sum(other.tied for other in board.rows) - 1
    if row is not board.rows[0]:
        return "the fastest of those tied with the best on val"
    return f"the best on val, tied with {rivals} more" if rivals else "the best on val"


def alarms(board: Leaderboard) -> list[str]:
    """What makes a reader trust nothing else; shown in red."""
    names = ", ".join(board.random_foundations)
    return [f"Random weights, which know nothing: {names}. This tells costs, not accuracy."] if names else []


def cautions(board: Leaderboard) -> list[str]:
    """What a reader must know before trusting the sentence."""
    confirmed = [row for row in board.rows if row.confirmed]
    found = []
    seeds = min((row.val.n for row in confirmed), default=0)
    if 0 < seeds < ENOUGH_SEEDS:
        counted = "1 seed is" if seeds == 1 else f"{seeds} seeds are"
        found.append(
            f"{counted} few: an interval that holds 0 says that a difference was not seen, not that there is "
            f"none. More: --resume with --set confirm.seeds=[{', '.join(map(str, range(ENOUGH_SEEDS)))}]."
        )
    if len(confirmed) > 1 and all(row.tied for row in confirmed):
        found.append("These seeds cannot tell the pairs apart: each of them may be the best.")
    found += [f"Data: {note}." for note in board.data_notes]
    weak = [row.name for row in confirmed if row.teacher_below_scratch]
    if weak:
        found.append(f"Teacher below scratch on val: {', '.join(weak)}.")
    worse = [row.name for row in confirmed if row.below_scratch_on_test and not row.below_scratch]
    if worse:
        found.append(f"Better than scratch on val but worse on test, where nothing was chosen: {', '.join(worse)}.")
    return found


NOTES = (
    "Rows are ranked by val; test was read once for each finalist and seed, after the search. "
    "± is the standard deviation between seeds; [ ] is a 95 % t interval of the difference paired by seed; "
    "* marks what stays beyond chance (5 %) after Holm's correction for all comparisons of this table. "
    "Tied with the best: no other row is surely better on val; with 95 % confidence the best row is one of these. "
    "ShippedModel is the fastest of them that is at most a point behind. "
    "Intervals speak of seeds, for these test images and these labelled images; others would differ by more. "
    "Trials: finished / stopped early / failed. "
    "Pareto: no other row is both better on val and smaller in this cost. "
    "Latency: one image, one CPU thread, median, on the machine of the search."
)


def narrow_table(board: Leaderboard) -> pd.DataFrame:
    """The columns that fit on a terminal."""
    wide = table(board)
    keep = ["foundation", "target", "val %", "test %", "scratch test %"]
    return wide[[name for name in keep if name in wide.columns]]


def render_markdown(board: Leaderboard, *, title: str = "Leaderboard") -> str:
    """For pull requests and terminals."""
    frame = table(board)
    lines = [f"# {title}\n\n{sentence(board)}\n"]
    lines += [f"- **{alarm}**" for alarm in alarms(board)]
    lines += [f"- {caution}" for caution in cautions(board)] + [""]
    if len(frame):
        lines.append("| " + " | ".join(frame.columns) + " |")
        lines.append("|" + "|".join(" --- " for _ in frame.columns) + "|")
        lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in frame.to_numpy()]
    lines.append(f"\n{NOTES}\n")
    lines.append(f"{summary(board)}\n")
    if board.failures:
        lines.append("## Failed trials\n")
        lines += [f"- {record.pair.name} `{record.id}`: {record.error}" for record in board.failures]
    return "\n".join(lines) + "\n"


def summary(board: Leaderboard) -> str:
    """What the whole search did and took."""
    counts = board.num_records
    return (
        f"{sum(counts.values())} trials: {counts['complete']} finished, {counts['pruned']} stopped early, "
        f"{counts['failed']} failed. {board.cpu_hours:.2f} CPU-hours, {board.gpu_hours:.2f} GPU-hours, "
        f"about {board.usd:.2f} USD by the prices of {load_prices().date}. "
        f"{board.num_teachers} teachers served; {board.num_teachers_reused} times one was there already, which saved "
        f"{timedelta(seconds=round(board.saved_seconds))} of work ({board.saved_gpu_hours:.2f} GPU-hours)."
    )


def flat_table(board: Leaderboard) -> pd.DataFrame:
    """Unrounded figures, one line a row, for spreadsheets."""
    return pd.json_normalize([asdict(row) for row in board.rows])
