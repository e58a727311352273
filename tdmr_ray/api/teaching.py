"""One teacher and one target: load images, reprogram, distil."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.loading import load_task as load_configured_task
from tdmr_ray.data.task import Task
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.space.messages import rule_of
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import fit
from tdmr_ray.training.parameters import all_parameters
from tdmr_ray.training.teacher_artifact import TeacherArtifact, make_teacher
from tdmr_ray.training.workers import Metrics


def load_task(source: str | Path, **options: Any) -> Task:
    """Load, split and decode images.

    Args:
        source: A folder, `csv:FILE`, a built-in name, or any other source of `data.name` in a space file.
        options: Other keys of the `data` section, such as `shots=5` or `image_px=96`.

    Raises:
        InputError: If the source or an option is wrong, or an image is unreadable.
    """
    try:
        config = DataConfig(name=str(source), **options)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {rule_of(each)}" for each in error.errors()]
        raise InputError("load_task", problems) from error
    return load_configured_task(config)


@dataclass(frozen=True)
class ReprogrammedTeacher:
    """A foundation reprogrammed for a task, with its outputs for the training views.

    Attributes:
        config: The trial that made it.
        artifact: Weights, outputs and history.
        fingerprint: Fingerprint of the task.
    """

    config: TrialConfig
    artifact: TeacherArtifact
    fingerprint: str

    @property
    def val_top1(self) -> float | None:
        """Accuracy on val; None without a val split."""
        return self.artifact.val_top1


def reprogram(
    foundation: str, task: Task, *, mapping: str = "linear", settings: Mapping[str, Any] | None = None
) -> ReprogrammedTeacher:
    """Reprogram a frozen foundation with the labelled images of a task, and store its outputs for the training views.

    Args:
        foundation: Built in (`glyph_vit`), a timm name with weights, `hf-hub:OWNER/MODEL` or `local-dir:FOLDER`.
        task: The images.
        mapping: A key of `tdmr_ray.method.mappings.MAPPINGS`.
        settings: Other parameters by the dotted names of a space file, such as `{"prompt.size_px": 4}`.

    Raises:
        InputError: If a name or a value is wrong, or weights are unavailable.
        NonFiniteLoss: If training diverges.
    """
    values = {"foundation.name": foundation, "mapping.kind": mapping, **(settings or {})}
    config = _configure(TrialConfig(data=task.source or DataConfig()), values, "reprogram")
    try:
        artifact = make_teacher(config, task)
    except InputError:
        raise
    except ValueError as error:
        raise InputError("reprogram", str(error)) from error
    return ReprogrammedTeacher(config, artifact, task.fingerprint)


def distill(
    teacher: ReprogrammedTeacher,
    target: str,
    task: Task,
    *,
    settings: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Metrics], object] = lambda metrics: None,
) -> SmallModel:
    """Distil a teacher into a small network.

    Args:
        teacher: Made by `reprogram` from the same task.
        target: A timm name.
        task: The images.
        settings: Parameters by the dotted names of a space file, such as `{"distill.epochs": 60}`.
        on_epoch: Receives the metrics of every epoch.

    Raises:
        InputError: If a name or a value is wrong, or the teacher was made from other images or settings.
        NonFiniteLoss: If training diverges.
    """
    if teacher.fingerprint != task.fingerprint:
        raise InputError("distill", "the teacher was made from other images; reprogram with this task")
    chosen = dict(settings or {})
    fixed = [name for name in chosen if name.partition(".")[0] in TrialConfig.teacher_sections()]
    if fixed:
        raise InputError("distill", [f"{name}: belongs to the teacher; pass it to reprogram" for name in fixed])
    config = _configure(teacher.config, {"target.name": target, **chosen}, "distill")
    outcome = fit(config, task, on_epoch, provider=lambda config, task: teacher.artifact)
    assert outcome.target is not None, "a distillation has a target"
    image_px = task.target_px(config.target.input_px)
    network = outcome.target.cpu().eval()
    return SmallModel(network, task.class_names, image_px, task.input_format, config, outcome.metrics)


def _configure(config: TrialConfig, values: Mapping[str, Any], where: str) -> TrialConfig:
    """Return a configuration with some values changed.

    Raises:
        InputError: With all unknown names, or the first illegal value.
    """
    known = all_parameters()
    unknown = [f"{name}: unknown parameter{near_match(name, known)}" for name in values if name not in known]
    if unknown:
        raise InputError(where, unknown)
    try:
        return config.with_values(values)
    except ValidationError as error:
        details = error.errors()[0]
        raise InputError(where, f"{'.'.join(map(str, details['loc']))}: {rule_of(details)}") from error
