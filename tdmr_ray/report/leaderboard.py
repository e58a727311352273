"""From records to rows: which pair to ship, how sure that is, and what it cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tdmr_ray.models.names import RANDOM, sized
from tdmr_ray.pareto import front_numbers
from tdmr_ray.prices import load_prices
from tdmr_ray.records import TDMR, TrialRecord, complete
from tdmr_ray.report.statistics import (
    Estimate,
    estimate,
    holm,
    not_significantly_beaten,
    paired_difference,
    paired_p_value,
)

TOLERANCE = 0.01
"""Of accuracy: a faster row that is so little behind the best is worth more."""


@dataclass(frozen=True)
class Control:
    """What a finalist is held against.

    Attributes:
        val: Its accuracy on val.
        test: Its accuracy on test.
        gain: The finalist's minus its on test, paired by seed.
        p_value: Of the gain, corrected for all comparisons of the leaderboard; None with fewer than two seeds.
    """

    val: Estimate
    test: Estimate
    gain: Estimate | None
    p_value: float | None = None


@dataclass(frozen=True)
class Row:
    """One finalist, or the best of a pair's search where nothing is confirmed.

    Attributes:
        val: Accuracy on val; of the search's single run if `confirmed` is False.
        test: Accuracy on test; None if not confirmed.
        teacher_val: The teacher's accuracy on val.
        controls: By name.
        values: The searched parameters.
        num_trials: Of the pair's search, by state.
        search_seconds: Sum over the pair's trials.
        cost: `params`, `macs`, `latency_ms` of the target, as far as measured.
        front: The costs for which no other row has both a better accuracy on val and a smaller cost.
        tied: Whether no other row is surely better on val; see `not_significantly_beaten`.
        num_test_images: 0 if not confirmed.
    """

    foundation: str
    target: str
    confirmed: bool
    val: Estimate
    test: Estimate | None
    teacher_val: float | None
    controls: dict[str, Control] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    num_trials: dict[str, int] = field(default_factory=dict)
    search_seconds: float = 0.0
    cost: dict[str, float] = field(default_factory=dict)
    front: tuple[str, ...] = ()
    tied: bool = False
    num_test_images: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.foundation} -> {self.target}"

    @property
    def teacher_below_scratch(self) -> bool:
        """Whether the teacher is worse on val than the target trained without it: it has little to teach."""
        scratch = self.controls.get("scratch")
        return scratch is not None and self.teacher_val is not None and self.teacher_val < scratch.val.mean

    @property
    def below_scratch(self) -> bool:
        """Whether the finalist is worse on val than the target trained without a teacher."""
        scratch = self.controls.get("scratch")
        return scratch is not None and self.val.mean < scratch.val.mean

    @property
    def below_scratch_on_test(self) -> bool:
        """Whether it is so on test, by which nothing is chosen."""
        scratch = self.controls.get("scratch")
        return scratch is not None and self.test is not None and self.test.mean < scratch.test.mean


@dataclass(frozen=True)
class Leaderboard:
    """Rows, best on val first, and what the whole search did.

    `saved_` is what found teachers would have cost; `random_foundations` have no pretrained weights.
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
        """What to ship: of the rows tied with the best and at most `TOLERANCE` behind it on val, the fastest.

        Where no latency is known the smallest, else the best; None if nothing is confirmed.
        """
        confirmed = [row for row in self.rows if row.confirmed]
        close = [row for row in confirmed if row.tied and confirmed[0].val.mean - row.val.mean <= TOLERANCE]
        for cost in ("latency_ms", "params"):
            if close and all(cost in row.cost for row in close):
                return min(close, key=lambda row: row.cost[cost])
        return close[0] if close else None


def build_leaderboard(records: Iterable[TrialRecord], costs: Mapping[str, Mapping[str, float]]) -> Leaderboard:
    """Rank the pairs of one search; test decides nothing.

    Args:
        records: All of it; trials that have not ended are left out.
        costs: For each target (as `sized` calls it) its `params`, `macs` and `latency_ms`.
    """
    records = [record for record in records if record.state != "running"]
    pairs = dict.fromkeys(record.pair.name for record in records if record.role == TDMR)
    groups = [group for name in pairs for group in _groups(name, records)]
    rows = [_row(group, records, costs) for group in groups]
    rows = with_ties(rows, groups)
    rows = with_fronts(rows)
    rows = with_corrected_p_values(rows)
    rows.sort(key=lambda row: (row.confirmed, row.val.mean), reverse=True)
    controls = dict.fromkeys(name for row in rows for name in row.controls)
    reused = [record for record in records if record.teacher_reused]
    return Leaderboard(
        rows=tuple(rows),
        controls=tuple(controls),
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
        data_notes=tuple(
            dict.fromkeys(note.text for record in records for note in record.notes if note.kind == "data")
        ),
        random_foundations=tuple(dict.fromkeys(record.pair.foundation for record in records if _knows_nothing(record))),
    )


def _knows_nothing(record: TrialRecord) -> bool:
    return bool(record.config.get("foundation", {}).get("weights") == RANDOM)


def _teacher_gpu_hours(record: TrialRecord) -> float:
    """GPU-hours that a trial's teacher takes, on the share of a GPU that the trial had."""
    return record.teacher_seconds * record.gpu_hours / record.seconds if record.seconds else 0.0


def with_fronts(rows: list[Row]) -> list[Row]:
    """The rows, each with the costs for which it is on the Pareto front of accuracy against cost."""
    fronts: dict[int, list[str]] = {place: [] for place in range(len(rows))}
    for cost in ("latency_ms", "params", "macs"):
        places = [place for place, row in enumerate(rows) if cost in row.cost]
        numbers = front_numbers([(rows[place].val.mean, -rows[place].cost[cost]) for place in places])
        for place, number in zip(places, numbers, strict=True):
            fronts[place] += [cost] if number == 0 else []
    return [replace(row, front=tuple(fronts[place])) for place, row in enumerate(rows)]


def count_states(records: Iterable[TrialRecord]) -> dict[str, int]:
    """How many trials ended how."""
    counts = {"complete": 0, "pruned": 0, "failed": 0}
    for record in records:
        counts[record.state] += 1
    return counts


def with_ties(rows: list[Row], groups: list[list[TrialRecord]]) -> list[Row]:
    """The rows, the confirmed ones with `tied`.

    Args:
        rows: One for each group.
        groups: The trials behind each row.
    """
    places = [place for place, row in enumerate(rows) if row.confirmed]
    scores = [{record.seed: record.metrics["val/top1"] for record in groups[place]} for place in places]
    tied = dict(zip(places, not_significantly_beaten(scores), strict=True))
    return [replace(row, tied=tied.get(place, False)) for place, row in enumerate(rows)]


def with_corrected_p_values(rows: list[Row]) -> list[Row]:
    """The rows, each control's p value corrected for all comparisons in them."""
    found = [(place, role) for place, row in enumerate(rows) for role in row.controls]
    raw = {key: rows[key[0]].controls[key[1]].p_value for key in found}
    known = {key: value for key, value in raw.items() if value is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    return [
        replace(
            row,
            controls={
                role: replace(control, p_value=corrected.get((place, role))) for role, control in row.controls.items()
            },
        )
        for place, row in enumerate(rows)
    ]


def _groups(name: str, records: list[TrialRecord]) -> list[list[TrialRecord]]:
    """The trials of each row of a pair: those of a confirmed configuration, or else the best of the search."""
    own = [record for record in records if record.pair.name == name and record.role == TDMR]
    groups: dict[str, list[TrialRecord]] = {}
    for record in complete(own, phase="confirm"):
        groups.setdefault(_without_seed(record), []).append(record)
    if groups:
        return list(groups.values())
    best = max(complete(own, phase="search"), key=lambda record: record.metrics["val/top1"], default=None)
    return [] if best is None else [[best]]


def _without_seed(record: TrialRecord) -> str:
    return str({**record.config, "seed": None})


def _row(group: list[TrialRecord], records: list[TrialRecord], costs: Mapping[str, Mapping[str, float]]) -> Row:
    first = group[0]
    searched = [record for record in records if record.phase == "search" and record.pair == first.pair]
    confirmed = first.phase == "confirm"
    test = {record.seed: record.metrics["test/top1"] for record in group if "test/top1" in record.metrics}
    teachers = [record.metrics["val/teacher_top1"] for record in group if "val/teacher_top1" in record.metrics]
    return Row(
        foundation=first.pair.foundation,
        target=first.pair.target,
        confirmed=confirmed,
        val=estimate([record.metrics["val/top1"] for record in group]),
        test=estimate(list(test.values())) if test else None,
        teacher_val=estimate(teachers).mean if teachers else None,
        controls=_controls(first, test, records) if confirmed else {},
        values=first.values,
        num_trials=count_states(searched),
        search_seconds=sum(record.seconds for record in searched),
        cost=dict(costs.get(sized(first.pair.target, first.config.get("target", {}).get("input_px")), {})),
        num_test_images=sum(map(sum, first.confusion)) if first.confusion else 0,
    )


def _controls(finalist: TrialRecord, test: Mapping[int, float], records: list[TrialRecord]) -> dict[str, Control]:
    """The controls of a finalist; those that pairs share name only the foundation or only the target."""
    by_role: dict[str, dict[int, TrialRecord]] = {}
    for record in records:
        if record.role == TDMR or record.state != "complete":
            continue
        mine = record.pair.foundation in ("", finalist.pair.foundation) and record.pair.target in (
            "",
            finalist.pair.target,
        )
        if mine:
            by_role.setdefault(record.role, {})[record.seed] = record
    return {role: _control(list(found.values()), test) for role, found in by_role.items()}


def _control(records: list[TrialRecord], finalist_test: Mapping[int, float]) -> Control:
    test = {record.seed: record.metrics["test/top1"] for record in records}
    val = estimate([record.metrics["val/top1"] for record in records])
    return Control(
        val=val,
        test=estimate(list(test.values())),
        gain=paired_difference(finalist_test, test),
        p_value=paired_p_value(finalist_test, test),
    )
