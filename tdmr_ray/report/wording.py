"""A leaderboard in sentences: recommendation, warnings, summary and the notes below the table."""

from collections.abc import Sequence
from datetime import timedelta

from tdmr_ray.prices import load_prices
from tdmr_ray.records import TDMR
from tdmr_ray.report.evidence import Evidence
from tdmr_ray.report.formatting import difference, milliseconds, spread, value
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.row import Figures, Model, Row
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.training.controls import CONTROLS
from tdmr_ray.training.metrics import METRICS

ENOUGH_SEEDS = 5

ENOUGH_TEST_IMAGES = 30

NOTES = (
    "Rows are ranked by the objective on val. "
    "Finalists and rivals trained for at most the same number of steps, with the same stopping rule and as many tries "
    "at their learning rate. "
    "Each seed draws the labelled images, the division into train and val and the initial weights anew; the test "
    "images stay. Test was read for each seed after the search, and again after the refit. "
    "After the refit means: trained again with the labels of val. "
    "± is the standard deviation between seeds. "
    "[ ] is a 95 % confidence interval over seeds and test images. "
    "* marks a significant difference (5 %) after Holm's correction for all comparisons in this table; "
    "fewer than three seeds have none. "
    "A model is tied with the best if no other small model is significantly better on val. "
    "The recommended model is the fastest of them that is at most one point behind on val. "
    "Trials are counted as finished / stopped early / failed. "
    "Pareto lists the costs for which no other row is both better on val and cheaper. "
    "Latency is the median for one image on one CPU thread of the machine that ran the search."
)


def sentence(board: Leaderboard) -> str:
    """State in one or two sentences which model to ship, and what TDMR gained or lost."""
    if not board.rows:
        return "No trial finished, so there is nothing to ship."
    if not board.models:
        best = board.rows[0]
        return (
            f"{best.name} was best in the search with {value(best.val.mean, board.objective)} on val; "
            "it is not confirmed on test."
        )
    model = board.recommended
    if model is None:
        return _nothing_to_ship(board.evidence)
    reasons = [_on_test(model.figures, board.objective), _rank(board, model)]
    if "latency_ms" in model.row.cost:
        reasons.append(f"{milliseconds(model.row.cost['latency_ms'])} ms per image")
    return f"Ship {describe(model)}: {', '.join(reasons)}.{_verdict(board)}"


def _nothing_to_ship(evidence: Evidence | None) -> str:
    """State why nothing is recommended, and how many labels would change it."""
    if evidence is None or not evidence.is_better or evidence.constant is None:
        return "Nothing to ship: no model is better on val than always answering the largest class."
    best, constant = (value(each, evidence.objective) for each in (evidence.value, evidence.constant))
    needed = evidence.labels_needed
    more = f"about {needed - evidence.num_labels} more labelled images" if needed else "far more labelled images"
    return (
        f"Nothing to ship yet: {_count(evidence.num_images, 'val image')} cannot tell the best model ({best}) from "
        f"always answering the largest class ({constant}). If it stays that good, {more} would."
    )


def describe(model: Model) -> str:
    """Name a model's target and how it was made."""
    row = model.row
    if model.method == TDMR:
        return f"{row.target}, trained by TDMR from {row.foundation}"
    control = CONTROLS.get(model.method)
    has_foundation = control is not None and control.has_foundation
    return f"{row.target}, trained by {model.method}" + (f" from {row.foundation}" if has_foundation else "")


def _on_test(figures: Figures, objective: str) -> str:
    """State the result on test, before and after the refit."""
    if figures.refit is None:
        return f"{spread(figures.test, objective)} on test"
    return f"{spread(figures.refit, objective)} on test after the refit ({spread(figures.test, objective)} before)"


def _verdict(board: Leaderboard) -> str:
    """State what TDMR gained or lost against the best rival; '' without one."""
    row, rival = board.best_row, board.best_rival
    if row is None or rival is None or rival[1].final_gain is None:
        return ""
    name, control = rival
    gain = control.final_gain
    assert gain is not None, "checked above"
    chance = " (not significant)" if _may_be_zero(gain) else ""
    return (
        f" TDMR ({row.name}) against its best rival on val, {name}: "
        f"{difference(gain, board.objective)} on test{chance}."
    )


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
    found += _few_test_images(confirmed)
    weak = [row.name for row in confirmed if row.teacher_below_scratch]
    if weak:
        found.append(f"The teacher is less accurate on val than the target trained from scratch: {', '.join(weak)}.")
    model, row = board.recommended, board.best_row
    if model is not None and row is not None and model.figures is not row:
        found += _chosen_by_val(model, row, board.objective)
    return found


def _few_test_images(rows: Sequence[Row]) -> list[str]:
    """Warn of a test split that is too small to tell models apart."""
    fewest = min((row.num_test_images for row in rows if row.num_test_images), default=ENOUGH_TEST_IMAGES)
    if fewest >= ENOUGH_TEST_IMAGES:
        return []
    return [
        f"There are only {fewest} test images, so that one more right or wrong changes the result by "
        f"{100 / fewest:.1f} points. A cross-validation uses every label for testing: "
        "--resume with --set confirm.cv_folds=5."
    ]


def _chosen_by_val(model: Model, row: Row, objective: str) -> list[str]:
    """Say so where another model than the recommended one was better on test, which no choice depends on."""
    ours, theirs = model.figures.final, row.final
    if ours is None or theirs is None:
        return []
    sign = 1 if METRICS[objective].greater_is_better else -1
    if sign * theirs.mean <= sign * ours.mean:
        return []
    return [f"{row.name} by TDMR is better on test than the recommended model, but no choice depends on test."]


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


def _rank(board: Leaderboard, model: Model) -> str:
    """Describe the position of the recommended model on val."""
    rivals = sum(other.figures.tied for other in board.models) - 1
    if model != board.models[0]:
        return "the fastest of the models tied with the best on val"
    return f"the best on val, tied with {_count(rivals, 'other model')}" if rivals > 0 else "the best on val"
