"""What all file formats have in common."""

import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tdmr_ray.deploy.batches import Pixels, Runner
from tdmr_ray.errors import InputError

if TYPE_CHECKING:
    from tdmr_ray.deploy.graph import DeployedGraph

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


@dataclass(frozen=True)
class Conversion:
    """What is to be written.

    Attributes:
        graph: The network in evaluation mode on the CPU.
        batch: Images that the file takes at once, B.
        calibration: Images from which int8 takes its ranges, [N, px, px, 3]; never from test.
        metadata: Texts that travel in the file where the format has a place for them.
    """

    graph: "DeployedGraph"
    batch: int
    calibration: Pixels
    metadata: dict[str, str]


class Format(ABC):
    """A file format for devices, and the runtime by which its files are verified here.

    Attributes:
        name: Name for `tdmr export --format`.
        suffix: End of a file's name.
        extra: Extra of this package that installs what is needed.
        modules: Python modules that must be importable.
        precisions: Precisions that can be written.
        runtime: Module that runs its files; '' where they cannot be run here.
        sets_threads: Whether `open` can set the number of threads.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    extra: ClassVar[str]
    modules: ClassVar[tuple[str, ...]]
    precisions: ClassVar[tuple[Precision, ...]]
    runtime: ClassVar[str] = ""
    sets_threads: ClassVar[bool] = True

    @abstractmethod
    def write(self, conversion: Conversion, precision: Precision, path: Path) -> None:
        """Write the file."""

    @abstractmethod
    def open(self, path: Path, threads: int) -> Runner | None:
        """Return a runner of a file for as many images as it takes at once; None where it cannot be run here."""

    def check_installed(self) -> None:
        """Raise an `InputError` if a module is missing."""
        missing = [name for name in self.modules if importlib.util.find_spec(name.split(".")[0]) is None]
        if missing:
            rule = f"needs {' and '.join(missing)}; do: pip install 'tdmr_ray[{self.extra}]'"
            raise InputError(f"export --format {self.name}", rule)
