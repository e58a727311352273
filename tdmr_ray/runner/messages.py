"""Typed messages between the driver and the workers; Ray carries them as they are.

Tune and Ray Train want dictionaries, so each message travels as the only entry of one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tdmr_ray.records import Note
from tdmr_ray.run_layout import TrialFiles
from tdmr_ray.runner.weights import WeightCopy
from tdmr_ray.space import Resources
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.workers import Metrics
from tdmr_ray.tuning.trial_spec import TrialSpec

ASSIGNMENT, REPORT = "assignment", "report"


@dataclass(frozen=True)
class WorkerSettings:
    """Settings that are the same for all trials of a search.

    Attributes:
        store: Directory of the store on each machine.
        max_store_bytes: Limit of that directory; None for no limit.
        shared_store: Storage from which machines copy to their stores; None if they share the directory.
        copies: Copies of pretrained weights in the store.
        threads: CPU threads of each worker.
        gpu: GPUs of each worker, or a share of one.
        workers: Workers of a trial.
        min_workers: Workers that suffice where machines are missing; None insists on `workers`.
        reprogram_workers: Workers that make a teacher.
        timeout_s: Longest duration of an epoch.
    """

    store: Path
    max_store_bytes: int | None = None
    shared_store: StoragePath | None = None
    copies: tuple[WeightCopy, ...] = ()
    threads: int = 1
    gpu: float = 0.0
    workers: int = 1
    min_workers: int | None = None
    reprogram_workers: int = 1
    timeout_s: float = 600.0

    @classmethod
    def build(cls, store: Store, resources: Resources, copies: tuple[WeightCopy, ...] = ()) -> "WorkerSettings":
        """Collect the settings from a store, the resources of a trial, and copies of weights."""
        return cls(
            store=store.local,
            max_store_bytes=store.max_bytes,
            shared_store=store.shared,
            copies=copies,
            threads=resources.cpu,
            gpu=resources.gpu_share,
            workers=resources.workers,
            min_workers=resources.min_workers,
            reprogram_workers=resources.reprogram_workers,
            timeout_s=resources.trial_timeout,
        )

    def open_store(self) -> Store:
        """Open the store on this machine."""
        return Store(self.store, self.shared_store, self.max_store_bytes)


@dataclass(frozen=True)
class Assignment:
    """A trial for a worker.

    Attributes:
        spec: The trial.
        settings: Settings of all trials.
        files: Locations of the trial's files.
        data_key: Key of the decoded images in the store; '' if the worker is to compute it from the user's files.
    """

    spec: TrialSpec
    settings: WorkerSettings
    files: TrialFiles
    data_key: str = ""

    def as_config(self) -> dict[str, Any]:
        """Wrap the assignment for Ray."""
        return {ASSIGNMENT: self}


def assignment_in(config: dict[str, Any]) -> Assignment:
    """Return the assignment from Ray's configuration of a trial."""
    assignment: Assignment = config[ASSIGNMENT]
    return assignment


@dataclass(frozen=True)
class TrialReport:
    """State of a trial after an epoch.

    Attributes:
        epoch: Completed epochs.
        done: Whether the trial has ended.
        metrics: Metrics of the last epoch.
        earlier: Metrics of the epochs before, if a process continues from a checkpoint.
        error: Reason of a failure; '' if there is none.
        seconds: Seconds since the start, without waiting for other processes.
        teacher_key: Key of the teacher; '' if none takes part.
        teacher_reused: Whether the teacher existed already.
        teacher_seconds: Seconds it took to make the teacher, in whichever process.
        threads: CPU threads.
        device: Kind of device.
        precision: `fp32` or `bf16`.
        data: Fingerprint of the images; '' before they are loaded.
        label_counts: Labelled images of each class by split; {} before they are loaded.
        notes: Remarks for readers of the record.
        confusion: Confusion matrix on test; None if it was not read.
        right: For each class, `1` or `0` for each of its test images; None if test was not read.
        artifacts: Name of a finalist's directory; '' if it left none.
        machine: Ray's id of the machine; '' without Ray.
    """

    epoch: int = 0
    done: bool = False
    metrics: Metrics = field(default_factory=dict)
    earlier: tuple[Metrics, ...] = ()
    error: str = ""
    seconds: float = 0.0
    teacher_key: str = ""
    teacher_reused: bool = False
    teacher_seconds: float = 0.0
    threads: int = 1
    device: str = "cpu"
    precision: str = "fp32"
    data: str = ""
    label_counts: dict[str, list[int]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    confusion: list[list[int]] | None = None
    right: list[str] | None = None
    artifacts: str = ""
    machine: str = ""

    def as_result(self, *, done: bool | None = None) -> dict[str, Any]:
        """Wrap the report for Ray; `done` tells Tune whether the trial has ended, by default as reported."""
        return {REPORT: self, "done": self.done if done is None else done}


def report_in(result: dict[str, Any] | None) -> TrialReport:
    """Return the report from one of Ray's results; an empty one if there is none."""
    report: TrialReport = (result or {}).get(REPORT, TrialReport())
    return report
