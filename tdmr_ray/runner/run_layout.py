"""The files of a search; names are a promise to the outside."""

from dataclasses import dataclass
from pathlib import Path

from tdmr_ray.storage import StoragePath

CHECKPOINTS, FINALISTS, RAY_TRAIN = "checkpoints", "finalists", "ray_train"
CHECKPOINT_ENDS = ".pt"


@dataclass(frozen=True)
class RunLayout:
    """Where everything lies under the folder of results.

    Attributes:
        root: The folder, on the driver's machine.
        shared: Its copy that all machines reach, where trials leave what the driver does not write itself; None if
            all machines see the folder.
    """

    root: Path
    shared: StoragePath | None = None

    @property
    def ledger(self) -> Path:
        """Every trial."""
        return self.root / "records.jsonl"

    @property
    def space(self) -> Path:
        """The space file as it was run."""
        return self.root / "space.yaml"

    @property
    def environment(self) -> Path:
        """Machine and versions."""
        return self.root / "environment.json"

    @property
    def targets(self) -> Path:
        """Costs of each target."""
        return self.root / "targets.json"

    @property
    def tensorboard(self) -> Path:
        """One folder a trial."""
        return self.root / "tensorboard"

    @property
    def artifacts(self) -> Path:
        """Weights of finalists, until the best of each pair are chosen."""
        return self.root / FINALISTS

    @property
    def best(self) -> Path:
        """What is shipped, a folder for each pair."""
        return self.root / "best"

    @property
    def study(self) -> Path:
        """For optuna-dashboard."""
        return self.root / "study.sqlite3"

    @property
    def reached(self) -> StoragePath:
        """The folder as trials reach it."""
        return self.shared or StoragePath(self.root)

    def checkpoint(self, spec_id: str) -> StoragePath:
        """What a trial that was interrupted goes on from."""
        return self.reached / CHECKPOINTS / f"{spec_id}{CHECKPOINT_ENDS}"

    @property
    def notes(self) -> StoragePath:
        """What Ray Train writes while it runs."""
        return self.reached / RAY_TRAIN

    def finalist(self, spec_id: str) -> StoragePath:
        """Where a finalist leaves its weights and visualizations."""
        return self.reached / FINALISTS / spec_id

    def fetch_finalists(self) -> None:
        """Bring to the driver what finalists have left."""
        if self.shared is not None:
            (self.shared / FINALISTS).fetch(self.artifacts)

    def stack(self, spec_id: str) -> Path:
        """Where a trial that hangs leaves what it was doing."""
        return self.root / CHECKPOINTS / f"{spec_id}.stack"
