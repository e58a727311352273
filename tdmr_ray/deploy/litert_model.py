"""An exported LiteRT file that is ready to use. Needs ai-edge-litert, numpy and Pillow, and imports no torch."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.reading import InputFormat
from tdmr_ray.deploy.batches import Pixels, Runner, in_batches
from tdmr_ray.deploy.onnx_model import CLASS_NAMES, described
from tdmr_ray.errors import InputError
from tdmr_ray.training.thresholds import UNCALIBRATED, Thresholds

LABELS = "labels.txt"
"""Associated file with a class name a line, which Android's tools read."""


@dataclass(frozen=True)
class LiteRtModel:
    """An exported network; a `Classifier`.

    Attributes:
        run: Runs `batch` images.
        batch: Images that the file takes at once.
        class_names: C names.
        input_format: Format in which files are read.
        thresholds: Thresholds on its probabilities.
    """

    run: Runner
    batch: int
    class_names: tuple[str, ...]
    input_format: InputFormat
    thresholds: Thresholds = UNCALIBRATED

    def classify(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map uint8 images [N, 3, size_px, size_px] to probabilities [N, C], as many at a time as the file takes."""
        return in_batches(self.run, np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), self.batch)


def add_metadata(path: Path, metadata: Mapping[str, str]) -> None:
    """Append a zip of associated files to a model, as TFLite metadata does; interpreters ignore it.

    Args:
        path: The .tflite file.
        metadata: JSON texts by name; each becomes NAME.json.
    """
    names = [" ".join(name.split()) for name in json.loads(metadata[CLASS_NAMES])]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "\n".join(names) + "\n")
        for name, text in metadata.items():
            archive.writestr(f"{name}.json", text)


def read_metadata(path: Path) -> dict[str, str]:
    """Return the JSON texts that `add_metadata` appended; none if there is no readable zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = [name for name in archive.namelist() if name.endswith(".json")]
            return {name.removesuffix(".json"): archive.read(name).decode("utf-8") for name in files}
    except (zipfile.BadZipFile, UnicodeDecodeError):
        return {}


def open_interpreter(path: Path, threads: int = 0) -> Any:
    """Return a LiteRT interpreter with XNNPACK and its tensors; 0 threads leave the number to it."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads or None)
    interpreter.allocate_tensors()
    return interpreter


def runner_of(interpreter: Any) -> Runner:
    """Return a runner of an interpreter, for as many images as its file takes at once."""
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(pixels: Pixels) -> NDArray[np.float32]:
        interpreter.set_tensor(source, pixels)
        interpreter.invoke()
        found: NDArray[np.float32] = interpreter.get_tensor(result)
        return found

    return run


def open_litert(path: Path) -> LiteRtModel:
    """Open a file that `tdmr export` wrote.

    Raises:
        InputError: If ai-edge-litert is missing, or the file is another one.
    """
    if not path.is_file():
        raise InputError(str(path), "there is no such file; make one with tdmr export")
    try:
        interpreter = open_interpreter(path)
    except ImportError as error:
        raise InputError(str(path), "needs ai-edge-litert; do: pip install ai-edge-litert") from error
    except (RuntimeError, ValueError) as error:
        raise InputError(str(path), f"cannot be opened as LiteRT: {' '.join(str(error).split())}") from error
    batch = int(interpreter.get_input_details()[0]["shape"][0])
    return LiteRtModel(runner_of(interpreter), batch, *described(path, read_metadata(path)))
