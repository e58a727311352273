"""Records of trials; `tdmr_ray.ledger` keeps them in a file."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["running", "complete", "pruned", "failed"]
Phase = Literal["search", "tune", "confirm", "refit", "cv"]
"""`search` and `tune` choose the finalists and the rates of their rivals, `confirm` reads test, `refit` trains again
with the labels of val, and `cv` is a fold of a cross-validation."""
NoteKind = Literal["data", "training", "checkpoint", "weak_teacher"]
"""Subject of a note: the images, the training, the trial's checkpoint, or a teacher that is below `scratch`."""
TDMR = "tdmr"
NO_NETWORK = "no network"
"""Name of the pair of a control that has neither foundation nor target."""


class Note(BaseModel):
    """A remark that a reader of a trial's figures should know.

    Attributes:
        kind: Subject, by which readers select notes.
        text: One sentence without a capital letter and a full stop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: NoteKind
    text: str


class Pair(BaseModel):
    """Foundation and target of a trial.

    Attributes:
        foundation: Model name; '' for a control without a foundation.
        target: Model name; '' for a control without a target.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    foundation: str
    target: str

    @property
    def name(self) -> str:
        """File-system-safe name for output directories and published tables."""
        parts = [part.replace("/", "_").replace(":", "_") for part in (self.foundation, self.target) if part]
        return "-".join(parts) or NO_NETWORK

    @property
    def title(self) -> str:
        """Name for display."""
        return " -> ".join(part for part in (self.foundation, self.target) if part) or NO_NETWORK


class TrialRecord(BaseModel):
    """Everything that is kept about a trial.

    Attributes:
        id: Phase and hash of the configuration (including the seed).
        role: `tdmr` or the name of a control.
        config: Nested; its dotted paths are the names in the space file.
        values: Values of the searched parameters, in Optuna's external representation.
        recipe: Hash of what is trained, which a finalist's or rival's trials share in all phases.
        state: `running` until the trial ends; after an interruption such a trial is resumed.
        curve: Score on val of the best epoch so far, after each epoch: the objective's value, negated if less of it is
            better. Empty without val.
        metrics: Metrics after the last epoch; `test/` only in the confirmation.
        confusion: Confusion matrix on test, rows are true classes; None if test was not read.
        right: For each class, `1` or `0` for each of its test images in their order; None if test was not read.
        steps: Optimisation steps of the target.
        label_counts: Labelled images of each class in `train`, `val` and `test`.
        teacher: Key of the teacher artifact, '' if the trial has no teacher.
        teacher_reused: Whether the teacher was already in the store.
        teacher_seconds: Time it took to make the teacher, in this or an earlier trial.
        seconds: Run time without waiting for other trials.
        ended: End of the trial, ISO 8601 in UTC; test is read at this moment.
        data: SHA-256 of images, labels and split of the trial; '' before they are loaded.
        search_data: The same of the search, from whose images all its trials draw theirs.
        weights: SHA-256 of the foundation's weights, '' if the trial has no foundation.
        target_weights: SHA-256 of the target's initial weights, '' for random initialisation.
        threads: Number of CPU threads; a bit-exact replay needs the same number.
        device: Type of the device that trained the target.
        precision: Precision that was used, `fp32` or `bf16`; `config` has the one that was requested.
        artifacts: Folder of a finalist's weights under `finalists/`, '' if there are none.
        restarts: Number of times the trial's process died and another one continued.
        moves: Number of times the trial's machine was lost and another one continued.
        outside: Whether the search was continued with other images, or with a space that does not hold the trial, which
            counts no more.
        notes: Remarks that a reader of the figures should know.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    phase: Phase
    role: str = TDMR
    pair: Pair
    config: dict[str, Any]
    values: dict[str, Any] = Field(default_factory=dict)
    recipe: str = ""
    state: State
    metrics: dict[str, float] = Field(default_factory=dict)
    curve: list[float] = Field(default_factory=list)
    confusion: list[list[int]] | None = None
    right: list[str] | None = None
    steps: int = 0
    label_counts: dict[str, list[int]] = Field(default_factory=dict)
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
    search_data: str = ""
    weights: str = ""
    target_weights: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    artifacts: str = ""
    restarts: int = 0
    moves: int = 0
    error: str = ""
    outside: bool = False
    notes: tuple[Note, ...] = ()

    def has_data(self, search_data: str) -> bool:
        """Whether the trial's search had these images; '' and trials that do not say so fit any."""
        return "" in (search_data, self.search_data) or search_data == self.search_data

    @property
    def num_val(self) -> int:
        """Number of val images; 0 if there are none."""
        return sum(self.label_counts.get("val", ()))


def complete(records: Iterable[TrialRecord], *, phase: Phase, role: str = TDMR) -> list[TrialRecord]:
    """Return the complete records of a phase and role."""
    return [record for record in records if (record.phase, record.role, record.state) == (phase, role, "complete")]


def note_weak_teachers(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials whose teacher is below their target's `scratch` control on val, with a note added.

    Args:
        records: All records of one search. Trials that already have a `weak_teacher` note are not returned again.
    """
    records = list(records)
    scratch: dict[str, list[float]] = {}
    for record in complete(records, phase="confirm", role="scratch"):
        scratch.setdefault(record.pair.target, []).append(record.metrics["val/top1"])
    means = {target: sum(values) / len(values) for target, values in scratch.items()}
    noted = []
    for record in records:
        teacher, mean = record.metrics.get("val/teacher_top1"), means.get(record.pair.target)
        if record.role != TDMR or teacher is None or mean is None or teacher >= mean:
            continue
        if all(note.kind != "weak_teacher" for note in record.notes):
            text = (
                f"the teacher reaches {teacher:.3f} on val, less than scratch with {mean:.3f}; it has little to teach"
            )
            note = Note(kind="weak_teacher", text=text)
            noted.append(record.model_copy(update={"notes": (*record.notes, note)}))
    return noted
