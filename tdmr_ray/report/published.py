"""`leaderboard.json`: all figures, unrounded, by a published schema, `leaderboard.schema.json` beside this file.

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
from tdmr_ray.report.row import Row
from tdmr_ray.report.wording import NOTES, alarms, cautions, sentence

VERSION = 1


@dataclass(frozen=True)
class TestReading:
    """A figure on test: whose, and when it was read."""

    id: str
    role: str
    pair: str
    seed: int
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
    """What the store of teachers saved."""

    count: int
    reused: int
    saved_seconds: float
    saved_gpu_hours: float


@dataclass(frozen=True)
class PublishedTable:
    """Searches on the same images and split.

    Attributes:
        data: Fingerprint of images and split.
        recommended: The row to ship; None if nothing is confirmed.
        rows: Best on val first.
    """

    title: str
    data: str
    sentence: str
    cautions: list[str]
    notes: str
    recommended: str | None
    rows: list[Row]
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
    """The whole file."""

    version: int
    tables: list[PublishedTable]


_ADAPTER = TypeAdapter(Published)


def published_schema() -> dict[str, Any]:
    """The JSON schema of `leaderboard.json`."""
    return _ADAPTER.json_schema()


def publish(comparisons: Sequence[Comparison]) -> bytes:
    """The file's content, UTF-8."""
    return _ADAPTER.dump_json(Published(VERSION, [_table(each) for each in comparisons]), indent=1)


def every_reading(comparison: Comparison) -> list[TestReading]:
    """Every figure on test, in the order in which they were read."""
    readings = [
        TestReading(record.id, record.role, record.pair.name, record.seed, record.metrics["test/top1"], record.ended)
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
        recommended=board.recommended.name if board.recommended else None,
        rows=list(board.rows),
        trials=board.num_records,
        seconds=board.seconds,
        cpu_hours=board.cpu_hours,
        gpu_hours=board.gpu_hours,
        usd=board.usd,
        teachers=_teachers(board),
        test_readings=every_reading(comparison),
        failures=[Failure(record.id, record.pair.name, record.error) for record in board.failures],
    )


def _teachers(board: Leaderboard) -> Teachers:
    return Teachers(board.num_teachers, board.num_teachers_reused, board.saved_seconds, board.saved_gpu_hours)


if __name__ == "__main__":
    path = Path(__file__).with_name("leaderboard.schema.json")
    path.write_text(json.dumps(published_schema(), indent=1) + "\n", encoding="utf-8")
