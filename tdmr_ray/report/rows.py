"""Build the rows of a leaderboard from trial records; test decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from tdmr_ray.models.names import sized
from tdmr_ray.records import TDMR, Pair, TrialRecord, complete
from tdmr_ray.report.readings import Readings, mean_metrics, readings_of
from tdmr_ray.report.row import Control, Row
from tdmr_ray.report.statistics import Estimate, estimate
from tdmr_ray.training.controls import CONTROLS
from tdmr_ray.tuning.ranking import objective_of, rank

Costs = Mapping[str, Mapping[str, float]]
"""`params`, `macs`, `latency_ms` and `latency_p95_ms` of each target, by its name from `sized`."""


def group_trials(records: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    """Group the trials of each row: the confirmed ones of a recipe, or else the best of a pair's search."""
    pairs = dict.fromkeys(record.pair.name for record in records if record.role == TDMR)
    return [group for name in pairs for group in _pair_groups(name, records)]


def build_row(group: Sequence[TrialRecord], records: Sequence[TrialRecord], costs: Costs) -> Row:
    """Build the row of a group of trials.

    Args:
        group: The trials of the row: one recipe, each with another seed.
        records: All records, for the rivals and for the counts of the pair's search.
        costs: Costs of the targets.
    """
    first = group[0]
    searched = [record for record in records if record.phase == "search" and record.pair == first.pair]
    confirmed = first.phase == "confirm"
    teachers = [record.metrics["val/teacher_top1"] for record in group if "val/teacher_top1" in record.metrics]
    trials = _Trials(group, records)
    return Row(
        **trials.figures(),
        foundation=first.pair.foundation,
        target=first.pair.target,
        confirmed=confirmed,
        teacher_val=estimate(teachers).mean if teachers else None,
        controls=_controls(first.pair, trials, records) if confirmed else {},
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


class _FigureValues(TypedDict):
    """The fields of `Figures`, but for `tied`, which depends on other rows."""

    val: Estimate
    test: Estimate | None
    refit: Estimate | None
    cv: Estimate | None
    steps: float
    refit_steps: float
    metrics: dict[str, Estimate]
    recipe: str


class _Trials:
    """The trials of one recipe: as they were confirmed, refitted and cross-validated.

    Args:
        group: Its confirmed trials, or one trial of the search.
        records: All records.
    """

    def __init__(self, group: Sequence[TrialRecord], records: Sequence[TrialRecord]) -> None:
        self.group, self.objective = group, objective_of(group[0])
        own = [record for record in records if record.recipe == group[0].recipe and record.state == "complete"]
        self.refits = [each for each in own if each.phase == "refit" and _joined(each) == "val"]
        self.folds = [each for each in own if each.phase == "cv"]
        self.test = readings_of(group, self.objective)
        self.refit = readings_of(self.refits, self.objective)

    def figures(self) -> _FigureValues:
        """Return the arguments of `Figures`."""
        return {
            "val": estimate([record.metrics[f"val/{self.objective}"] for record in self.group]),
            "test": self.test.estimate(),
            "refit": self.refit.estimate(),
            "cv": self._cross_validated(),
            "steps": _mean_steps(self.group),
            "refit_steps": _mean_steps(self.refits),
            "metrics": {
                **mean_metrics(self.group, {"val": "val", "test": "test"}),
                **mean_metrics(self.refits, {"test": "refit"}),
            },
            "recipe": self.group[0].recipe,
        }

    def _cross_validated(self) -> Estimate | None:
        name = f"test/{self.objective}"
        found = [record.metrics[name] for record in self.folds if name in record.metrics]
        return estimate(found) if found else None


def _pair_groups(name: str, records: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    own = [record for record in records if record.pair.name == name and record.role == TDMR]
    groups = _by_recipe(complete(own, phase="confirm"))
    if groups:
        return groups
    best = max(complete(own, phase="search"), key=rank, default=None)
    return [] if best is None else [[best]]


def _by_recipe(records: Iterable[TrialRecord]) -> list[list[TrialRecord]]:
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(record.recipe, []).append(record)
    return list(groups.values())


def _controls(pair: Pair, finalist: _Trials, records: Sequence[TrialRecord]) -> dict[str, Control]:
    """Collect a finalist's rivals; one that several pairs share names no foundation or no target.

    Where the finalists of a pair led to different versions of a rival, the best on val counts.
    """
    by_role: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.role == TDMR or record.phase != "confirm" or record.state != "complete":
            continue
        if record.pair.foundation in ("", pair.foundation) and record.pair.target in ("", pair.target):
            by_role.setdefault(record.role, []).append(record)
    return {
        role: _control(role, max(_by_recipe(found), key=_mean_rank), finalist, records)
        for role, found in by_role.items()
    }


def _control(role: str, group: list[TrialRecord], finalist: _Trials, records: Sequence[TrialRecord]) -> Control:
    trials, known = _Trials(group, records), CONTROLS.get(role)
    has_rate = known is not None and known.trains
    return Control(
        **trials.figures(),
        gain=finalist.test.gain_over(trials.test),
        refit_gain=_refit_gain(finalist.refit, trials.refit),
        p_value=finalist.test.p_value_against(trials.test),
        ships=known.ships if known else bool(group[0].pair.target),
        lr=group[0].config.get("distill", {}).get("lr") if has_rate else None,
    )


def _refit_gain(ours: Readings, theirs: Readings) -> Estimate | None:
    return ours.gain_over(theirs) if ours.by_seed and theirs.by_seed else None


def _mean_rank(group: Sequence[TrialRecord]) -> float:
    return sum(rank(record)[0] for record in group) / len(group)


def _mean_steps(records: Sequence[TrialRecord]) -> float:
    return sum(record.steps for record in records) / len(records) if records else 0.0


def _joined(record: TrialRecord) -> str:
    return str(record.config.get("data", {}).get("join", "none"))
