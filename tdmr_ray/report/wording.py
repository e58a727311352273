"""A leaderboard in sentences: recommendation, warnings, summary and the notes below the table."""

from datetime import timedelta

from tdmr_ray.prices import load_prices
from tdmr_ray.report.formatting import milliseconds, percent, points, spread
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.row import Row
from tdmr_ray.report.statistics import Estimate

ENOUGH_SEEDS = 5

NOTES = (
    "Rows are ranked by accuracy on val. "
    "Test was read once for each finalist and seed, after the search. "
    "± is the standard deviation between seeds. "
    "[ ] is the 95 % confidence interval (Student t) of the difference, paired by seed. "
    "* marks a significant difference (5 %) after Holm's correction for all comparisons in this table. "
    "A row is tied with the best if no other row is significantly better on val; "
    "with 95 % confidence, the true best is among the tied rows. "
    "The recommended row is the fastest of them that is at most one point behind on val. "
    "Intervals cover the variation between seeds for these labelled images and these test images; "
    "other images would add to it. "
    "Trials are counted as finished / stopped early / failed. "
    "Pareto lists the costs for which no other row is both better on val and cheaper. "
    "Latency is the median for one image on one CPU thread of the machine that ran the search."
)


def sentence(board: Leaderboard) -> str:
    """State in one sentence which model to ship, and why."""
    if not board.rows:
        return "No trial finished, so there is nothing to ship."
    best, row = board.rows[0], board.recommended
    if row is None or row.test is None:
        return (
            f"{best.name} was best in the search with {percent(best.val.mean)} % on val; it is not confirmed on test."
        )
    scratch = row.controls.get("scratch")
    if row.below_scratch and scratch is not None:
        return (
            f"The teacher did not help on val: ship {row.target} trained from scratch, with {spread(scratch.test)} % "
            f"on test; {row.name} reaches {spread(row.test)} %."
        )
    reasons = [f"{spread(row.test)} % on test", _rank(board, row)]
    if "latency_ms" in row.cost:
        reasons.append(f"{milliseconds(row.cost['latency_ms'])} ms per image")
    if scratch is not None:
        chance = " (not significant)" if _may_be_zero(scratch.gain) else ""
        reasons.append(f"{points(scratch.gain)} points on test compared with training from scratch{chance}")
    return f"Ship {row.name}: {', '.join(reasons)}."


def alarms(board: Leaderboard) -> list[str]:
    """List problems that make the accuracies meaningless; shown in red."""
    names = ", ".join(board.random_foundations)
    if not names:
        return []
    return [f"Foundations with random weights: {names}. Their results show costs, not accuracy."]


def cautions(board: Leaderboard) -> list[str]:
    """List limitations that a reader should know before trusting the recommendation."""
    confirmed = [row for row in board.rows if row.confirmed]
    found = []
    seeds = min((row.val.n for row in confirmed), default=0)
    if 0 < seeds < ENOUGH_SEEDS:
        count = "There is only 1 seed" if seeds == 1 else f"There are only {seeds} seeds"
        found.append(
            f"{count}: an interval that contains 0 means that no difference was detected, not that there is none. "
            f"To add seeds, use --resume with --set confirm.seeds=[{', '.join(map(str, range(ENOUGH_SEEDS)))}]."
        )
    if len(confirmed) > 1 and all(row.tied for row in confirmed):
        found.append("With these seeds, no pair is significantly better than another: each of them may be the best.")
    found += [f"Data: {note}." for note in board.data_notes]
    weak = [row.name for row in confirmed if row.teacher_below_scratch]
    if weak:
        found.append(f"The teacher is less accurate on val than the target trained from scratch: {', '.join(weak)}.")
    worse = [row.name for row in confirmed if row.below_scratch_on_test and not row.below_scratch]
    if worse:
        found.append(
            f"Better than training from scratch on val, but worse on test, which no choice depends on: "
            f"{', '.join(worse)}."
        )
    return found


def summary(board: Leaderboard) -> str:
    """Summarise the trials of the whole search and their cost."""
    counts = board.num_records
    return (
        f"{_count(sum(counts.values()), 'trial')}: {counts['complete']} finished, {counts['pruned']} stopped early, "
        f"{counts['failed']} failed. "
        f"They took {board.cpu_hours:.2f} CPU-hours and {board.gpu_hours:.2f} GPU-hours, about {board.usd:.2f} USD "
        f"at the prices of {load_prices().date}. "
        f"They used {_count(board.num_teachers, 'teacher')}; {_count(board.num_teachers_reused, 'trial')} found the "
        f"teacher in the store, which saved {timedelta(seconds=round(board.saved_seconds))} of work "
        f"({board.saved_gpu_hours:.2f} GPU-hours)."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _may_be_zero(gain: Estimate | None) -> bool:
    return gain is None or gain.low is None or gain.high is None or gain.low <= 0 <= gain.high


def _rank(board: Leaderboard, row: Row) -> str:
    """Describe the position of the recommended row on val."""
    rivals = sum(other.tied for other in board.rows) - 1
    if row is not board.rows[0]:
        return "the fastest of the rows tied with the best on val"
    return f"the best on val, tied with {_count(rivals, 'other row')}" if rivals else "the best on val"
