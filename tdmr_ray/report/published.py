"""Content and schema of `leaderboard.json`, which holds all figures unrounded.

The schema is published as `leaderboard.schema.json` beside this file.

Run: python -m tdmr_ray.report.published    (writes the schema)
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tdmr_ray.report.folder import Comparison
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.per_class import PerClass, per_class
from tdmr_ray.report.row import Row
from tdmr_ray.report.wording import NOTES, alarms, cautions, sentence

VERSION = 2


@dataclass(frozen=True)
class TestReading:
    """Accuracy on test of one trial, and the time at which it was read."""

    id: str
    role: str
    pair: str
    seed: int
    phase: str
    top1: float
    read: str


@dataclass(frozen=True)
class Failure:
    """A trial that failed."""

    id: str
    pair: str
    error: str


@dataclass(frozen=True)
class Teachers:
    """Work that the teacher store saved."""

    count: int
    reused: int
    saved_seconds: float
    saved_gpu_hours: float


@dataclass(frozen=True)
class Recommended:
    """The model to ship.

    Attributes:
        method: `tdmr` or the name of a rival.
        foundation: Foundation of the row that it stands in.
        target: The target.
        recipe: Hash of what was trained.
    """

    method: str
    foundation: str
    target: str
    recipe: str


@dataclass(frozen=True)
class PublishedTable:
    """Leaderboard of searches on the same images and split.

    Attributes:
        data: Fingerprint of the images and their split.
        objective: Metric that everything was chosen by.
        recommended: The model to ship; None if nothing is confirmed, or nothing is significantly better than a
            constant answer.
        rows: Finalists with their rivals, best on val first.
        per_class: Figures of the recommended model for every class; None if no confusion matrix was kept.
    """

    title: str
    data: str
    sentence: str
    cautions: list[str]
    notes: str
    objective: str
    recommended: Recommended | None
    rows: list[Row]
    per_class: PerClass | None
    trials: dict[str, int]
    seconds: float
    cpu_hours: float
    gpu_hours: float
    usd: float
    teachers: Teachers
    test_readings: list[TestReading]
    failures: list[Failure]


@dataclass(frozen=True)
class Published:
    """Content of `leaderboard.json`."""

    version: int
    tables: list[PublishedTable]


_ADAPTER = TypeAdapter(Published)


def published_schema() -> dict[str, Any]:
    """Return the JSON schema of `leaderboard.json`."""
    return _ADAPTER.json_schema()


def publish(comparisons: Sequence[Comparison]) -> bytes:
    """Return the content of `leaderboard.json` in UTF-8."""
    return _ADAPTER.dump_json(Published(VERSION, [_table(each) for each in comparisons]), indent=1)


def every_reading(comparison: Comparison) -> list[TestReading]:
    """List every reading of accuracy on test, in order of time."""
    readings = [
        TestReading(
            id=record.id,
            role=record.role,
            pair=record.pair.name,
            seed=record.seed,
            phase=record.phase,
            top1=record.metrics["test/top1"],
            read=record.ended,
        )
        for record in comparison.records
        if "test/top1" in record.metrics
    ]
    return sorted(readings, key=lambda reading: reading.read)


def _table(comparison: Comparison) -> PublishedTable:
    board = comparison.board
    return PublishedTable(
        title=comparison.title,
        data=comparison.searches[0].data,
        sentence=sentence(board),
        cautions=[*alarms(board), *cautions(board)],
        notes=NOTES,
        objective=board.objective,
        recommended=_recommended(board),
        rows=list(board.rows),
        per_class=per_class(comparison),
        trials=board.num_records,
        seconds=board.seconds,
        cpu_hours=board.cpu_hours,
        gpu_hours=board.gpu_hours,
        usd=board.usd,
        teachers=_teachers(board),
        test_readings=every_reading(comparison),
        failures=[Failure(record.id, record.pair.name, record.error) for record in board.failures],
    )


def _recommended(board: Leaderboard) -> Recommended | None:
    model = board.recommended
    if model is None:
        return None
    return Recommended(model.method, model.row.foundation, model.row.target, model.figures.recipe)


def _teachers(board: Leaderboard) -> Teachers:
    return Teachers(board.num_teachers, board.num_teachers_reused, board.saved_seconds, board.saved_gpu_hours)


if __name__ == "__main__":
    path = Path(__file__).with_name("leaderboard.schema.json")
    path.write_text(json.dumps(published_schema(), indent=1) + "\n", encoding="utf-8")
