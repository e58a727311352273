"""Rank the pairs of a search and their rivals, recommend a model, and sum up what the search cost."""

from collections.abc import Iterable
from dataclasses import dataclass

from tdmr_ray.models.names import RANDOM
from tdmr_ray.prices import load_prices
from tdmr_ray.records import TDMR, TrialRecord
from tdmr_ray.report.evidence import Evidence
from tdmr_ray.report.models import choose_model, evidence_for, num_counted, rank_models, val_scores, with_ties
from tdmr_ray.report.row import Control, Model, Row
from tdmr_ray.report.row_comparison import with_corrected_p_values, with_fronts
from tdmr_ray.report.rows import Costs, build_row, count_states, group_trials
from tdmr_ray.training.metrics import METRICS
from tdmr_ray.tuning.ranking import DEFAULT, objective_of


@dataclass(frozen=True)
class Leaderboard:
    """Rows, best on val first, and the totals of the search.

    Attributes:
        objective: Name of the metric that everything was chosen by.
        rows: Best on val first, confirmed rows before all others.
        models: Every small model that may ship, best on val first.
        recommended: The model to ship; None if nothing is confirmed, or nothing is significantly better than a
            constant answer.
        controls: Names of all rivals in the rows.
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
        evidence: What val says about the best model; None if unknown.
    """

    objective: str
    rows: tuple[Row, ...]
    models: tuple[Model, ...]
    recommended: Model | None
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
    evidence: Evidence | None = None

    @property
    def best_row(self) -> Row | None:
        """The best confirmed finalist on val."""
        return next((row for row in self.rows if row.confirmed), None)

    @property
    def best_rival(self) -> tuple[str, Control] | None:
        """Name and figures of the small model that is the best rival on val of the best finalist, with its target."""
        row = self.best_row
        if row is None:
            return None
        rivals = [(name, control) for name, control in row.controls.items() if control.ships]
        sign = 1 if METRICS[self.objective].greater_is_better else -1
        return max(rivals, key=lambda rival: sign * rival[1].val.mean, default=None)


def build_leaderboard(records: Iterable[TrialRecord], costs: Costs) -> Leaderboard:
    """Rank the pairs of one or more searches on the same images by val; test decides nothing.

    Args:
        records: All records of the searches; trials that are still running or outside the space are ignored.
        costs: Costs of the targets.
    """
    records = [record for record in records if record.state != "running" and not record.outside]
    scores = val_scores(records)
    rows = with_ties(
        [build_row(group, records, costs) for group in group_trials(records)], scores, num_counted(records)
    )
    objective = next((objective_of(record) for record in records if record.role == TDMR), DEFAULT)
    sign = 1 if METRICS[objective].greater_is_better else -1
    rows = with_corrected_p_values(with_fronts(rows, sign))
    rows.sort(key=lambda row: (row.confirmed, sign * row.val.mean), reverse=True)
    models = rank_models(rows, scores)
    evidence = evidence_for(models, records, objective)
    reused = [record for record in records if record.teacher_reused]
    notes = (note for record in records for note in record.notes)
    return Leaderboard(
        objective=objective,
        rows=tuple(rows),
        models=models,
        recommended=choose_model(models, scores, evidence),
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
        evidence=evidence,
    )


def _has_random_foundation(record: TrialRecord) -> bool:
    foundation = record.config.get("foundation", {})
    return any(network.get("weights") == RANDOM for network in (foundation, *foundation.get("members", ())))


def _teacher_gpu_hours(record: TrialRecord) -> float:
    """GPU hours to make a trial's teacher, on the share of a GPU that the trial had."""
    return record.teacher_seconds * record.gpu_hours / record.seconds if record.seconds else 0.0
