"""An exported ONNX file that is ready to use. Needs onnxruntime, numpy and Pillow, and imports no torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.reading import InputFormat
from tdmr_ray.deploy.batches import Pixels, in_batches
from tdmr_ray.errors import InputError
from tdmr_ray.training.thresholds import UNCALIBRATED, Thresholds

CLASS_NAMES, INPUT_FORMAT, TEMPERATURE, THRESHOLDS = "class_names", "input_format", "temperature", "thresholds"
"""Keys of a file's metadata; the temperature is part of the graph, and told for the record."""


@dataclass(frozen=True)
class OnnxModel:
    """An exported network; a `Classifier`.

    Attributes:
        session: The onnxruntime session.
        class_names: C names.
        input_format: Format in which files are read.
        thresholds: Thresholds on its probabilities.
    """

    session: Any
    class_names: tuple[str, ...]
    input_format: InputFormat
    thresholds: Thresholds = UNCALIBRATED

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map uint8 images [N, 3, size_px, size_px] to probabilities [N, C], as many at a time as the file takes."""
        images = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        return in_batches(self._run, images, self.session.get_inputs()[0].shape[0])

    def _run(self, images: Pixels) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self.session.run(None, {"images": images})[0]
        return found


def metadata_of(
    class_names: Sequence[str], form: InputFormat, temperature: float, thresholds: Thresholds = UNCALIBRATED
) -> dict[str, str]:
    """Return what the file's metadata say: everything but the network that a prediction needs."""
    return {
        CLASS_NAMES: json.dumps(list(class_names), ensure_ascii=False),
        INPUT_FORMAT: json.dumps(asdict(form)),
        TEMPERATURE: json.dumps(temperature),
        THRESHOLDS: json.dumps(thresholds.as_json()),
    }


def open_onnx(path: Path) -> OnnxModel:
    """Open a file that `tdmr export` wrote.

    Raises:
        InputError: If onnxruntime is missing, or the file is another one.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(str(path), "needs onnxruntime; do: pip install onnxruntime") from error
    if not path.is_file():
        raise InputError(str(path), "there is no such file; make one with tdmr export")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors share no base class
        raise InputError(str(path), f"cannot be opened as ONNX: {' '.join(str(error).split())}") from error
    return OnnxModel(session, *described(path, session.get_modelmeta().custom_metadata_map))


def described(path: Path, found: Mapping[str, str]) -> tuple[tuple[str, ...], InputFormat, Thresholds]:
    """Return class names, input format and thresholds, for a file's metadata.

    Raises:
        InputError: If they are not there.
    """
    try:
        names, form = json.loads(found[CLASS_NAMES]), InputFormat(**json.loads(found[INPUT_FORMAT]))
        thresholds = Thresholds.from_json(json.loads(found[THRESHOLDS])) if THRESHOLDS in found else UNCALIBRATED
    except (KeyError, TypeError, ValueError) as error:
        rule = "must hold class names and input format in its metadata"
        raise InputError(str(path), f"{rule}; export the model again with tdmr export") from error
    return tuple(names), form, thresholds
