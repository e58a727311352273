"""The files of a search; names are a promise to the outside."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """Where everything lies under the folder of results."""

    root: Path

    @property
    def ledger(self) -> Path:
        """Every trial."""
        return self.root / "records.jsonl"

    @property
    def tensorboard(self) -> Path:
        """One folder a trial."""
        return self.root / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """A file for each trial that has not ended."""
        return self.root / "checkpoints"

    @property
    def artifacts(self) -> Path:
        """Weights of finalists, until the best of each pair are chosen."""
        return self.root / "finalists"

    @property
    def best(self) -> Path:
        """What is shipped, a folder for each pair."""
        return self.root / "best"

    @property
    def study(self) -> Path:
        """For optuna-dashboard."""
        return self.root / "study.sqlite3"

    def checkpoint(self, job_id: str) -> Path:
        """What a trial that was interrupted goes on from."""
        return self.checkpoints / f"{job_id}.pt"

    def stack(self, job_id: str) -> Path:
        """Where a trial that hangs leaves what it was doing."""
        return self.checkpoints / f"{job_id}.stack"
