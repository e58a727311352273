"""Rank the pairs of a search, recommend one, and sum up what the search cost."""

from collections.abc import Iterable
from dataclasses import dataclass

from tdmr_ray.models.names import RANDOM
from tdmr_ray.prices import load_prices
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.row import Row
from tdmr_ray.report.row_comparison import with_corrected_p_values, with_fronts, with_ties
from tdmr_ray.report.rows import Costs, build_row, count_states, group_trials

TOLERANCE = 0.01
"""Accuracy on val that a faster row may lose against the best one and still be recommended."""


@dataclass(frozen=True)
class Leaderboard:
    """Rows, best on val first, and the totals of the search.

    Attributes:
        rows: Best on val first, confirmed rows before all others.
        controls: Names of all controls in the rows.
        num_records: Number of trials by state.
        failures: Records of failed trials.
        seconds: Total run time of all trials.
        cpu_hours: Total CPU-core hours.
        gpu_hours: Total GPU hours.
        usd: Estimated cost in US dollars.
        num_teachers: Number of different teachers.
        num_teachers_reused: Number of trials that found their teacher in the store.
        saved_seconds: Time that making these teachers again would have taken.
        saved_gpu_hours: GPU hours that making these teachers again would have taken.
        data_notes: Notes about the images.
        random_foundations: Foundations that had random instead of pretrained weights.
    """

    rows: tuple[Row, ...]
    controls: tuple[str, ...]
    num_records: dict[str, int]
    failures: tuple[TrialRecord, ...]
    seconds: float
    cpu_hours: float
    gpu_hours: float
    usd: float
    num_teachers: int
    num_teachers_reused: int
    saved_seconds: float
    saved_gpu_hours: float
    data_notes: tuple[str, ...] = ()
    random_foundations: tuple[str, ...] = ()

    @property
    def recommended(self) -> Row | None:
        """The fastest row among those tied with the best and at most `TOLERANCE` behind it on val.

        The smallest row if a latency is unknown, the best one if a size is unknown too; None if nothing is confirmed.
        """
        confirmed = [row for row in self.rows if row.confirmed]
        close = [row for row in confirmed if row.tied and confirmed[0].val.mean - row.val.mean <= TOLERANCE]
        for cost in ("latency_ms", "params"):
            if close and all(cost in row.cost for row in close):
                return min(close, key=lambda row: row.cost[cost])
        return close[0] if close else None


def build_leaderboard(records: Iterable[TrialRecord], costs: Costs) -> Leaderboard:
    """Rank the pairs of one or more searches on the same images by val; test decides nothing.

    Args:
        records: All records of the searches; trials that are still running are ignored.
        costs: Costs of the targets.
    """
    records = [record for record in records if record.state != "running"]
    groups = group_trials(records)
    rows = with_ties([build_row(group, records, costs) for group in groups], groups)
    rows = with_corrected_p_values(with_fronts(rows))
    rows.sort(key=lambda row: (row.confirmed, row.val.mean), reverse=True)
    reused = [record for record in records if record.teacher_reused]
    notes = (note for record in records for note in record.notes)
    return Leaderboard(
        rows=tuple(rows),
        controls=tuple(dict.fromkeys(name for row in rows for name in row.controls)),
        num_records=count_states(records),
        failures=tuple(record for record in records if record.state == "failed"),
        seconds=sum(record.seconds for record in records),
        cpu_hours=sum(record.cpu_hours for record in records),
        gpu_hours=sum(record.gpu_hours for record in records),
        usd=sum(load_prices().usd_of(record) for record in records),
        num_teachers=len({record.teacher for record in records if record.teacher}),
        num_teachers_reused=len(reused),
        saved_seconds=sum(record.teacher_seconds for record in reused),
        saved_gpu_hours=sum(_teacher_gpu_hours(record) for record in reused),
        data_notes=tuple(dict.fromkeys(note.text for note in notes if note.kind == "data")),
        random_foundations=tuple(
            dict.fromkeys(record.pair.foundation for record in records if _has_random_foundation(record))
        ),
    )


def _has_random_foundation(record: TrialRecord) -> bool:
    return bool(record.config.get("foundation", {}).get("weights") == RANDOM)


def _teacher_gpu_hours(record: TrialRecord) -> float:
    """GPU hours to make a trial's teacher, on the share of a GPU that the trial had."""
    return record.teacher_seconds * record.gpu_hours / record.seconds if record.seconds else 0.0
