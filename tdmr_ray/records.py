"""Trial records and the ledger that holds them: one JSON line each, the only truth about a search."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tdmr_ray.errors import InputError

State = Literal["running", "complete", "pruned", "failed"]
Phase = Literal["search", "confirm"]
TDMR = "tdmr"
BELOW_SCRATCH = "teacher below scratch"
OF_DATA = "data: "
"""How a note on the images begins."""


class Pair(BaseModel):
    """A foundation with a target; '' where a control needs none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    foundation: str
    target: str

    @property
    def name(self) -> str:
        """For layout and tables."""
        return "-".join(part.replace("/", "_").replace(":", "_") for part in (self.foundation, self.target) if part)


class TrialRecord(BaseModel):
    """What is kept of a trial.

    Attributes:
        id: Phase and hash of the configuration (the seed is part of it).
        role: `tdmr` or the name of a control.
        config: Nested; its dotted paths are the names in the space file.
        values: The searched parameters' values, as Optuna knows them.
        state: `running` until the trial has ended; after a stop, such a trial is to be gone on with.
        curve: The objective after each epoch.
        metrics: Of the last epoch; `test/` only in the confirmation.
        teacher: Key of the teacher's artifact, '' if none took part.
        teacher_reused: Whether it was there already.
        teacher_seconds: That it took to make, whoever made it.
        seconds: From start to end, waiting apart.
        ended: When, ISO 8601 in UTC; then test was read, if it was.
        data: SHA-256 of images, labels and split.
        weights: SHA-256 of the foundation's weights, '' if none took part.
        target_weights: SHA-256 of the weights that the target started from, '' if those were random.
        threads: CPU threads it ran with; a replay needs the same number for the same bits.
        device: Kind of device that the target was trained on.
        precision: In which networks ran there, `fp32` or `bf16`; the configuration says what was asked for.
        artifacts: Where the confirmation left weights, seen from the results' folder.
        restarts: How often its process died and another one went on.
        moves: How often its machine went away and it went on elsewhere.
        notes: What a reader should know, such as that the teacher is worse than the target without one.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    phase: Phase
    role: str = TDMR
    pair: Pair
    config: dict[str, Any]
    values: dict[str, Any] = Field(default_factory=dict)
    state: State
    metrics: dict[str, float] = Field(default_factory=dict)
    curve: list[float] = Field(default_factory=list)
    confusion: list[list[int]] | None = None
    teacher: str = ""
    teacher_reused: bool = False
    teacher_seconds: float = 0.0
    seed: int
    seconds: float
    ended: str = ""
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0
    threads: int = 1
    device: str = "cpu"
    precision: str = "fp32"
    data: str = ""
    weights: str = ""
    target_weights: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    artifacts: str = ""
    restarts: int = 0
    moves: int = 0
    error: str = ""
    notes: tuple[str, ...] = ()


class Ledger:
    """Append-only file of records; a later line with the same id replaces an earlier one.

    Args:
        path: `records.jsonl`; made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: TrialRecord) -> None:
        """Write one line and make sure that it is on disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(record.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[TrialRecord]:
        """All records, in the order in which their ids first appeared.

        A last line without its end is what a killed process leaves; it is left out, and cut off before the next
        append.

        Raises:
            InputError: If another line is damaged.
        """
        if not self.path.exists():
            return []
        records: dict[str, TrialRecord] = {}
        for record in self._parse():
            records[record.id] = record
        return list(records.values())

    def _parse(self) -> Iterator[TrialRecord]:
        *whole, torn = self.path.read_bytes().split(b"\n")
        if torn:
            print(f"{self.path}: the last line was torn off and is left out", file=sys.stderr)
            os.truncate(self.path, self.path.stat().st_size - len(torn))
        for number, line in enumerate(whole, start=1):
            try:
                yield TrialRecord.model_validate_json(line)
            except ValidationError as error:
                raise InputError(
                    str(self.path), f"line {number} is not a record: {error.errors()[0]['msg']}"
                ) from error


def complete(records: Iterable[TrialRecord], *, phase: Phase, role: str = TDMR) -> list[TrialRecord]:
    """The finished records of a phase and role."""
    return [record for record in records if (record.phase, record.role, record.state) == (phase, role, "complete")]


def noted_below_scratch(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials whose teacher is weaker on val than the control `scratch` of their target, with a note that says so.

    Args:
        records: Of one search; those that have the note already are not returned again.
    """
    records = list(records)
    scratch: dict[str, list[float]] = {}
    for record in complete(records, phase="confirm", role="scratch"):
        scratch.setdefault(record.pair.target, []).append(record.metrics["val/top1"])
    means = {target: sum(values) / len(values) for target, values in scratch.items()}
    noted = []
    for record in records:
        teacher, mean = record.metrics.get("val/teacher_top1"), means.get(record.pair.target)
        on_progress = any(note.startswith(BELOW_SCRATCH) for note in record.notes)
        if record.role == TDMR and teacher is not None and mean is not None and teacher < mean and not on_progress:
            note = f"{BELOW_SCRATCH}: {teacher:.3f} against {mean:.3f} on val; it has little to teach"
            noted.append(record.model_copy(update={"notes": (*record.notes, note)}))
    return noted
