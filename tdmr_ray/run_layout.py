"""Names and locations of the files that a run leaves. The names are a promise to users and to scripts.

`RunLayout` describes a search, `TrainLayout` the training of a single configuration. Both tell a trial where its files
belong (`TrialFiles`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tdmr_ray.storage import StoragePath

RECORDS, TARGETS, SPACE, ENVIRONMENT = "records.jsonl", "targets.json", "space.yaml", "environment.json"
DATA_SUMMARY = "data.json"
TENSORBOARD, STUDY, BEST, LEADERBOARD = "tensorboard", "study.sqlite3", "best", "leaderboard"
CHECKPOINTS, FINALISTS, ERRORS, RAY_TRAIN = "checkpoints", "finalists", "errors", "ray_train"
CHECKPOINT_SUFFIX = ".pt"
LABEL_ISSUES, NEXT_TO_LABEL, INSPECTION = "label_issues.csv", "next_to_label.csv", "inspection.json"
VISUALIZATIONS, METRICS, MODEL_CONFIG = "visualizations.json", "metrics.json", "config.json"
CALIBRATION = "calibration.json"
TRACKING = "tracking.json"


class TrialFiles(Protocol):
    """Locations of the files of one trial, by the trial's id."""

    def checkpoint(self, trial_id: str) -> StoragePath:
        """Checkpoint from which an interrupted trial continues."""

    def finalist(self, trial_id: str) -> StoragePath:
        """Directory for the weights, metrics and visualizations of a finalist."""

    def stack(self, trial_id: str) -> Path:
        """File in which the watchdog of a hanging trial leaves its stack."""

    def error(self, trial_id: str) -> StoragePath:
        """File for the traceback of a failed trial."""

    @property
    def ray_train(self) -> StoragePath:
        """Directory for Ray Train's own files while it runs."""


@dataclass(frozen=True)
class RunLayout:
    """Files of a search.

    Attributes:
        root: The output directory, on the driver's machine.
        shared: Copy of the output directory that all machines reach; trials write there. None if all machines see
            `root`.
    """

    root: Path
    shared: StoragePath | None = None

    @property
    def records(self) -> Path:
        """The ledger: a record for each trial."""
        return self.root / RECORDS

    @property
    def targets(self) -> Path:
        """Measured costs of the targets."""
        return self.root / TARGETS

    @property
    def space(self) -> Path:
        """The space file, with all overrides applied."""
        return self.root / SPACE

    @property
    def data_summary(self) -> Path:
        """Facts about the images."""
        return self.root / DATA_SUMMARY

    @property
    def environment(self) -> Path:
        """Machine and versions."""
        return self.root / ENVIRONMENT

    @property
    def tensorboard(self) -> Path:
        """Event files, one directory for each trial."""
        return self.root / TENSORBOARD

    @property
    def study(self) -> Path:
        """Database for optuna-dashboard."""
        return self.root / STUDY

    @property
    def finalists(self) -> Path:
        """Weights and visualizations of finalists, until the best of each pair are chosen."""
        return self.root / FINALISTS

    @property
    def best(self) -> Path:
        """Shipped models, one directory for each pair."""
        return self.root / BEST

    @property
    def label_issues(self) -> Path:
        """Labels of train and val that are likely wrong."""
        return self.root / LABEL_ISSUES

    @property
    def next_to_label(self) -> Path:
        """Images without labels that are worth labelling next."""
        return self.root / NEXT_TO_LABEL

    @property
    def inspection(self) -> Path:
        """Pictures of confusions, heat maps and label issues for the report."""
        return self.root / INSPECTION

    @property
    def tracking(self) -> Path:
        """Ids of the search in MLflow and Weights & Biases."""
        return self.root / TRACKING

    def leaderboard(self, suffix: str) -> Path:
        """A file of the report; `suffix` is `md`, `csv`, `json` or `html`."""
        return self.root / f"{LEADERBOARD}.{suffix}"

    def visualizations(self, artifacts: str) -> Path:
        """Visualizations of a finalist; `artifacts` is the record's field."""
        return self.finalists / artifacts / VISUALIZATIONS

    @property
    def reached(self) -> StoragePath:
        """The output directory as trials reach it."""
        return self.shared or StoragePath(self.root)

    def checkpoint(self, trial_id: str) -> StoragePath:
        """Checkpoint from which an interrupted trial continues."""
        return self.reached / CHECKPOINTS / f"{trial_id}{CHECKPOINT_SUFFIX}"

    def finalist(self, trial_id: str) -> StoragePath:
        """Directory for the weights, metrics and visualizations of a finalist."""
        return self.reached / FINALISTS / trial_id

    def stack(self, trial_id: str) -> Path:
        """File in which the watchdog of a hanging trial leaves its stack."""
        return self.root / CHECKPOINTS / f"{trial_id}.stack"

    def error(self, trial_id: str) -> StoragePath:
        """File for the traceback of a failed trial."""
        return self.reached / ERRORS / f"{trial_id}.txt"

    @property
    def ray_train(self) -> StoragePath:
        """Directory for Ray Train's own files while it runs."""
        return self.reached / RAY_TRAIN

    def fetch_from_trials(self) -> None:
        """Copy finalists and tracebacks from the shared storage to the driver."""
        if self.shared is not None:
            for name in (FINALISTS, ERRORS):
                (self.shared / name).fetch(self.root / name)


@dataclass(frozen=True)
class TrainLayout:
    """Files of a single configuration that is trained as a finalist.

    Attributes:
        reached: The output directory, or its copy that all machines reach.
        scratch: Directory on the worker's machine for the stack of a hang.
    """

    reached: StoragePath
    scratch: Path

    @property
    def metrics(self) -> StoragePath:
        """Metrics of the last epoch, with figures on test."""
        return self.reached / METRICS

    def checkpoint(self, trial_id: str) -> StoragePath:
        """Checkpoint from which an interrupted run continues."""
        return self.reached / f"checkpoint{CHECKPOINT_SUFFIX}"

    def finalist(self, trial_id: str) -> StoragePath:
        """Directory for weights, metrics and visualizations: the output directory itself."""
        return self.reached

    def stack(self, trial_id: str) -> Path:
        """File in which the watchdog of a hanging run leaves its stack."""
        return self.scratch / f"{trial_id}.stack"

    def error(self, trial_id: str) -> StoragePath:
        """File for the traceback of a failed run."""
        return self.reached / ERRORS / f"{trial_id}.txt"

    @property
    def ray_train(self) -> StoragePath:
        """Directory for Ray Train's own files while it runs."""
        return self.reached / RAY_TRAIN
