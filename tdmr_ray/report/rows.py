"""Build the rows of a leaderboard from trial records; test decides nothing."""

from collections.abc import Iterable, Mapping, Sequence

from tdmr_ray.models.names import sized
from tdmr_ray.records import TDMR, TrialRecord, complete
from tdmr_ray.report.row import Control, Row
from tdmr_ray.report.statistics import estimate, paired_difference, paired_p_value

Costs = Mapping[str, Mapping[str, float]]
"""`params`, `macs`, `latency_ms` and `latency_p95_ms` of each target, by its name from `sized`."""


def group_trials(records: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    """Group the trials of each row: those of a confirmed configuration, or else the best of a pair's search."""
    pairs = dict.fromkeys(record.pair.name for record in records if record.role == TDMR)
    return [group for name in pairs for group in _pair_groups(name, records)]


def build_row(group: Sequence[TrialRecord], records: Sequence[TrialRecord], costs: Costs) -> Row:
    """Build the row of a group of trials.

    Args:
        group: The trials of the row: one configuration, each with another seed.
        records: All records, for the controls and for the counts of the pair's search.
        costs: Costs of the targets.
    """
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


def count_states(records: Iterable[TrialRecord]) -> dict[str, int]:
    """Count the trials by their final state."""
    counts = {"complete": 0, "pruned": 0, "failed": 0}
    for record in records:
        counts[record.state] += 1
    return counts


def _pair_groups(name: str, records: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    own = [record for record in records if record.pair.name == name and record.role == TDMR]
    groups: dict[str, list[TrialRecord]] = {}
    for record in complete(own, phase="confirm"):
        groups.setdefault(str({**record.config, "seed": None}), []).append(record)
    if groups:
        return list(groups.values())
    best = max(complete(own, phase="search"), key=lambda record: record.metrics["val/top1"], default=None)
    return [] if best is None else [[best]]


def _controls(
    finalist: TrialRecord, finalist_test: Mapping[int, float], records: Sequence[TrialRecord]
) -> dict[str, Control]:
    """Collect the controls of a finalist; a control that several pairs share names no foundation or no target."""
    pair = finalist.pair
    by_role: dict[str, dict[int, TrialRecord]] = {}
    for record in records:
        if record.role == TDMR or record.state != "complete":
            continue
        if record.pair.foundation in ("", pair.foundation) and record.pair.target in ("", pair.target):
            by_role.setdefault(record.role, {})[record.seed] = record
    return {role: _control(list(found.values()), finalist_test) for role, found in by_role.items()}


def _control(records: Sequence[TrialRecord], finalist_test: Mapping[int, float]) -> Control:
    test = {record.seed: record.metrics["test/top1"] for record in records}
    return Control(
        val=estimate([record.metrics["val/top1"] for record in records]),
        test=estimate(list(test.values())),
        gain=paired_difference(finalist_test, test),
        p_value=paired_p_value(finalist_test, test),
    )
