"""The small models that may ship: which are tied with the best on val, and which one is recommended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tdmr_ray.records import TDMR, TrialRecord
from tdmr_ray.report.evidence import Evidence, evidence_of
from tdmr_ray.report.readings import BY_IMAGE
from tdmr_ray.report.row import Model, Row
from tdmr_ray.report.statistics import not_significantly_beaten
from tdmr_ray.tuning.ranking import objective_of, rank

TOLERANCE = 0.01
"""Amount of the objective on val that a faster model may lose against the best one and still be recommended."""

ValScores = Mapping[str, Mapping[int, float]]
"""Objective on val, greater is better, by recipe and seed."""


def val_scores(records: Iterable[TrialRecord]) -> dict[str, dict[int, float]]:
    """Return the scores of all confirmed trials."""
    scores: dict[str, dict[int, float]] = {}
    for record in records:
        if record.phase == "confirm" and record.state == "complete":
            scores.setdefault(record.recipe, {})[record.seed] = rank(record)[0]
    return scores


def num_counted(records: Iterable[TrialRecord]) -> int | None:
    """Return the number of val images that a score counts; None if it is not a share of images, or unknown."""
    confirmed = [record for record in records if record.phase == "confirm" and record.num_val]
    if not confirmed or objective_of(confirmed[0]) not in BY_IMAGE:
        return None
    return min(record.num_val for record in confirmed)


def with_ties(rows: Sequence[Row], scores: ValScores, num_images: int | None = None) -> list[Row]:
    """Return the rows with `tied` set on those finalists and rivals that no other small model significantly beats.

    Args:
        rows: Rows with their rivals.
        scores: Scores on val.
        num_images: Number of images that a score counts; see `not_significantly_beaten`.
    """
    recipes = list(dict.fromkeys(model.figures.recipe for model in _all_models(rows)))
    kept = not_significantly_beaten([scores[recipe] for recipe in recipes], num_images)
    tied = {recipe for recipe, is_kept in zip(recipes, kept, strict=True) if is_kept}
    return [
        replace(
            row,
            tied=row.confirmed and row.recipe in tied,
            controls={name: replace(each, tied=each.recipe in tied) for name, each in row.controls.items()},
        )
        for row in rows
    ]


def rank_models(rows: Sequence[Row], scores: ValScores) -> tuple[Model, ...]:
    """Return every small model once, best on val first; a finalist comes before a rival with the same score."""
    found: dict[str, Model] = {}
    for model in _all_models(rows):
        found.setdefault(model.figures.recipe, model)
    return tuple(sorted(found.values(), key=lambda model: -_mean(scores[model.figures.recipe])))


def evidence_for(models: Sequence[Model], records: Iterable[TrialRecord], objective: str) -> Evidence | None:
    """Return what val says about the best model; None if nothing is confirmed or the labels of val are unknown."""
    if not models:
        return None
    best = models[0].figures
    counts = next((each.label_counts for each in records if each.recipe == best.recipe and each.phase == "confirm"), {})
    return evidence_of(objective, best.val.mean, counts)


def choose_model(models: Sequence[Model], scores: ValScores, evidence: Evidence | None = None) -> Model | None:
    """Return the fastest of the models that are tied with the best on val and at most `TOLERANCE` behind it.

    Equally fast models are ordered by val, and so are all where a latency is unknown. None if nothing is confirmed, if
    the evidence is insufficient, or if the best model is not better than `majority`.
    """
    if not models or (evidence is not None and not evidence.is_sufficient):
        return None
    best = _mean(scores[models[0].figures.recipe])
    floors = [_mean(scores[row.controls["majority"].recipe]) for row in _rows(models) if "majority" in row.controls]
    if floors and best <= max(floors):
        return None
    close = [
        model for model in models if model.figures.tied and best - _mean(scores[model.figures.recipe]) <= TOLERANCE
    ] or [models[0]]
    for cost in ("latency_ms", "params"):
        if all(cost in model.row.cost for model in close):
            return min(close, key=lambda model: model.row.cost[cost])
    return close[0]


def _all_models(rows: Iterable[Row]) -> Iterable[Model]:
    confirmed = [row for row in rows if row.confirmed]
    yield from (Model(TDMR, row) for row in confirmed)
    yield from (Model(name, row) for row in confirmed for name, each in row.controls.items() if each.ships)


def _rows(models: Iterable[Model]) -> list[Row]:
    return [model.row for model in models]


def _mean(scores: Mapping[int, float]) -> float:
    return sum(scores.values()) / len(scores)
