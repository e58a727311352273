"""The choice of how an int8 file is made: from the trained network as it is, or after a training that rounds."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import torch

from tdmr_ray.data.task import Task
from tdmr_ray.deploy.artifact import Artifact
from tdmr_ray.deploy.batches import in_batches
from tdmr_ray.deploy.formats import Conversion, Format
from tdmr_ray.deploy.quantization_aware import AwareEpoch, train_aware
from tdmr_ray.deploy.quiet import quiet
from tdmr_ray.deploy.small_model import SmallModel
from tdmr_ray.errors import InputError

Quantization = Literal["auto", "post", "aware"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)
TOLERATED_LOSS = 0.005
"""Accuracy that an int8 file may lose on val before `auto` trains."""

Export = Callable[[Conversion, Path], Artifact]
"""Writes an int8 file into a folder and measures it, whatever it loses; raises `CannotConvert`."""


class CannotConvert(Exception):
    """A format that cannot hold a network; its text is the reason, in one line."""


@dataclass(frozen=True)
class Candidate:
    """An int8 file that may be kept.

    Attributes:
        artifact: What was measured of it.
        folder: Where it lies.
        loss: Accuracy that it loses against the network on images that may decide.
        log_loss: Its log loss on the check images where these may decide, which separates equal losses; 0 otherwise.
    """

    artifact: Artifact
    folder: Path
    loss: float
    log_loss: float


class Quantizer:
    """Makes int8 files of a model.

    Args:
        model: The model.
        post: Its conversion without further training.
        load: Loads the training images; raises `InputError` if they are gone.
        on_note: Is told of progress, in one line.
    """

    def __init__(
        self, model: SmallModel, post: Conversion, load: Callable[[], Task], on_note: Callable[[str], object]
    ) -> None:
        self.model, self.post, self.load, self.on_note = model, post, load, on_note

    @cached_property
    def aware(self) -> Conversion:
        """The conversion after quantisation-aware distillation, which all formats share."""
        graph = train_aware(self.model, self.load(), self.post.calibration, on_epoch=self._tell)
        return replace(self.post, graph=graph)

    def best(self, form: Format, quantization: Quantization, export: Export, scratch: Path) -> Candidate:
        """Return the int8 file that `quantization` asks for; `auto` compares both only if the first loses accuracy.

        Nothing is chosen on test: a file of a model that trained on val is judged by its agreement with the network on
        calibration images.

        Raises:
            CannotConvert: If the format cannot hold the network.
            InputError: If `aware` was asked for, and the training images are gone.
        """
        if quantization == "aware":
            return self._candidate(form, "aware", self.aware, export, scratch)
        post = self._candidate(form, "post", self.post, export, scratch)
        if quantization == "post" or post.loss <= TOLERATED_LOSS:
            return post
        self.on_note(f"{form.name} int8 loses {100 * post.loss:.1f} points; quantisation-aware distillation:")
        try:
            conversion = self.aware
        except InputError as error:
            self.on_note(f"not possible without the training images: {error.problems[0]}")
            return post
        aware = self._candidate(form, "aware", conversion, export, scratch)
        return min(post, aware, key=lambda each: (each.loss, each.log_loss))

    def _candidate(
        self, form: Format, name: Literal["post", "aware"], conversion: Conversion, export: Export, scratch: Path
    ) -> Candidate:
        place = scratch / name
        place.mkdir()
        artifact = replace(export(conversion, place), quantization=name)
        if artifact.split == "test":
            return Candidate(artifact, place, 1 - self._agreement(form, place / artifact.file), 0.0)
        if artifact.top1 is None or artifact.torch_top1 is None or artifact.metrics is None:
            return Candidate(artifact, place, 0.0, 0.0)
        return Candidate(artifact, place, artifact.torch_top1 - artifact.top1, artifact.metrics["log_loss"])

    def _agreement(self, form: Format, path: Path) -> float:
        """Return the share of the calibration images for which a file predicts the network's class."""
        pixels = self.post.calibration
        with quiet():
            run = form.open(path, threads=1)
            assert run is not None, "the file was measured on test"
            found = in_batches(run, pixels, self.post.batch).argmax(axis=1)
        with torch.inference_mode():
            own = torch.cat([self.post.graph(part).argmax(dim=1) for part in torch.from_numpy(pixels).split(32)])
        return float((found == own.numpy()).mean())

    def _tell(self, epoch: AwareEpoch) -> None:
        self.on_note(f"epoch {epoch.number} of {epoch.of}, divergence {epoch.loss:.4f}")
