"""TensorBoard event files, written by the driver from the reports of trials: one directory for each trial.

Scalars of both steps, the prompt as a picture, the label-mapping matrix, a finalist's confusion matrix, and HParams
with every value of the configuration (Tune's own writer drops constants and None).
"""

import json
import shutil
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from tdmr_ray.records import TrialRecord
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.teacher_artifact import MAPPING, PROMPT, TeacherArtifact, load_artifact
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_spec import TrialSpec

PICTURE_PX = 640
"""Approximate longer side of a picture; small pictures are enlarged by a whole factor."""


class TensorBoardLog(Listener):
    """Listener that writes event files under `folder`/<pair>/<trial>.

    Args:
        folder: Directory for `tensorboard --logdir`.
        store: Store of teachers.
        objective: Metric that is shown beside the hyperparameters.
    """

    def __init__(self, folder: Path, store: Store, objective: str) -> None:
        self.folder, self.store, self.objective = folder, store, objective
        self.writers: dict[str, SummaryWriter] = {}

    def started(self, spec: TrialSpec) -> None:
        """Open an empty directory; a trial that continues from a checkpoint reports its first epochs again."""
        folder = self.folder / trial_folder(spec, spec.config)
        shutil.rmtree(folder, ignore_errors=True)
        self.writers[spec.id] = SummaryWriter(str(folder))

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        """Write an epoch's scalars."""
        for name, value in metrics.items():
            self.writers[spec.id].add_scalar(name, value, int(metrics["epoch"]))

    def lost(self, spec: TrialSpec, reason: str) -> None:
        """Close the directory until the trial is started again."""
        self.writers.pop(spec.id).close()

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Write the teacher, the confusion matrix, texts and hyperparameters, and close the directory."""
        writer = self.writers.pop(spec.id)
        folder = self.store.find(record.teacher) if record.teacher else None
        if folder is not None:
            _write_teacher(writer, load_artifact(folder))
        if record.confusion is not None:
            share = torch.tensor(record.confusion).float()
            write_picture(writer, "confusion (row: true class)", share / share.sum(dim=1, keepdim=True).clamp(min=1))
        if record.error:
            writer.add_text("error", record.error)
        if record.notes:
            writer.add_text("notes", "\n\n".join(note.text for note in record.notes))
        _write_hparams(writer, spec, record, self.objective)
        writer.close()

    def noted(self, record: TrialRecord) -> None:
        """Add the notes of a trial that has ended."""
        config = TrialConfig.model_validate(record.config)
        with SummaryWriter(str(self.folder / trial_folder(record, config))) as writer:
            writer.add_text("notes", "\n\n".join(note.text for note in record.notes))

    def close(self) -> None:
        """Close the directories of interrupted trials."""
        for writer in self.writers.values():
            writer.close()


def trial_folder(trial: TrialSpec | TrialRecord, config: TrialConfig) -> str:
    """Return the directory of a trial's event files, relative to the log directory."""
    return f"{trial.pair.name}/{trial.phase}-{trial.role}-{config.key()[:8]}-seed{config.seed}"


def _write_teacher(writer: SummaryWriter, artifact: TeacherArtifact) -> None:
    for epoch, row in enumerate(artifact.history):
        for name, value in row.items():
            writer.add_scalar(name, value, epoch)
    if PROMPT in artifact.pictures:
        writer.add_image("prompt", _enlarge(artifact.pictures[PROMPT]))
    if MAPPING in artifact.pictures:
        write_picture(writer, "label mapping (row: source class)", artifact.pictures[MAPPING])


def write_picture(writer: SummaryWriter, name: str, matrix: Tensor) -> None:
    """Write a matrix as a grey picture whose largest entry is white."""
    picture = (matrix.float() / matrix.float().max().clamp(min=1e-12)).clamp(0, 1).unsqueeze(0)
    writer.add_image(name, _enlarge(picture))


def _enlarge(picture: Tensor) -> Tensor:
    factor = max(1, PICTURE_PX // max(picture.shape[-2:]))
    return interpolate(picture.unsqueeze(0), scale_factor=factor, mode="nearest")[0]


def _hparam(value: object) -> str | int | float | bool:
    """Return a configuration's value as TensorBoard takes it; the members of a committee are a text."""
    if value is None:
        return "none"
    return value if isinstance(value, str | int | float) else json.dumps(value)


def _write_hparams(writer: SummaryWriter, spec: TrialSpec, record: TrialRecord, objective: str) -> None:
    values = {name: _hparam(value) for name, value in spec.config.flat().items()}
    figures = {name: value for name, value in record.metrics.items() if name == objective or name.startswith("test/")}
    for summary in hparams({**values, "role": spec.role, "state": record.state}, figures or {objective: float("nan")}):
        assert writer.file_writer is not None, "the writer is open"
        writer.file_writer.add_summary(summary)
    for name, value in figures.items():
        writer.add_scalar(name, value, int(record.metrics["epoch"]))
