"""Exported files that run without torch: which there are, and how each is opened."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tdmr_ray.deploy.litert_model import open_litert
from tdmr_ray.deploy.onnx_model import open_onnx
from tdmr_ray.deploy.predicting import Classifier
from tdmr_ray.errors import InputError


@dataclass(frozen=True)
class Opener:
    """A way to open a kind of file.

    Attributes:
        open: Opens a file.
        module: Python module of its runtime.
        package: Name of the runtime for `pip install`.
    """

    open: Callable[[Path], Classifier]
    module: str
    package: str

    @property
    def is_installed(self) -> bool:
        """Whether its runtime is there."""
        return importlib.util.find_spec(self.module) is not None


OPENERS = {
    ".onnx": Opener(open_onnx, "onnxruntime", "onnxruntime"),
    ".tflite": Opener(open_litert, "ai_edge_litert", "ai-edge-litert"),
}
"""Openers by suffix, the preferred one first."""


def open_exported(path: Path) -> Classifier:
    """Open a file that `tdmr export` wrote.

    Raises:
        InputError: If its kind is unknown, its runtime is missing, or it is damaged.
    """
    if path.suffix not in OPENERS:
        raise InputError(str(path), f"must be one of {', '.join(OPENERS)}; export the model with tdmr export")
    return OPENERS[path.suffix].open(path)


def choose_exported(folder: Path) -> Path:
    """Return the exported file in a folder that can be opened here; fp32 goes before fp16 and int8.

    Raises:
        InputError: If there is none, or no runtime for any of them.
    """
    files = [path for suffix in OPENERS for path in sorted(folder.glob(f"target*{suffix}"), key=_precision_order)]
    if not files:
        kinds = " or ".join(f"target*{suffix}" for suffix in OPENERS)
        raise InputError(str(folder), f"must hold {kinds}; copy one there, or give --model FILE")
    ready = [path for path in files if OPENERS[path.suffix].is_installed]
    if not ready:
        packages = dict.fromkeys(OPENERS[path.suffix].package for path in files)
        cure = ", or ".join(f"pip install {package}" for package in packages)
        names = ", ".join(path.name for path in files)
        raise InputError(str(folder), f"no runtime for {names} is installed; do: {cure}")
    return ready[0]


def _precision_order(path: Path) -> tuple[int, str]:
    return len(path.name), path.name
