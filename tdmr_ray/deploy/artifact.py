"""What is known of an exported file, in `artifacts.json` beside it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tdmr_ray.deploy.formats import Precision
from tdmr_ray.errors import InputError

ARTIFACTS = "artifacts.json"


@dataclass(frozen=True)
class Latency:
    """Time of a call.

    Attributes:
        threads: Number of threads; 0 where the runtime has no setting for it.
        median_ms: Median.
        p95_ms: 95th percentile.
    """

    threads: int
    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        format: Name of its format.
        precision: Precision of its weights and layers.
        batch: Images that it takes at once.
        file: Its name.
        size_bytes: Its size, with all that belongs to it.
        verified: Whether it ran here. The figures below are None if it did not.
        weights: SHA-256 of the weights that it was made from; None if they were in no file.
        split: Split of the images by which it was kept.
        num_images: Their number.
        metrics: All metrics on them, by name.
        torch_top1: Accuracy of the network in torch on the same images.
        agreement: Share of the images for which it predicts the network's class.
        largest_difference: Largest difference of a probability from the network's.
        num_test_images: Images of test that it classified after it was kept; 0 if it was kept by test, or without test.
        test_top1: Accuracy on them.
        latencies: Times of a call for `batch` images, by number of threads.
        start_ms: Time to open it.
        peak_mb: Memory that a process needs for opening and running it, beyond the runtime itself.
        quantization: How an int8 file was made: `post` training, or `aware` of the rounding.
    """

    format: str
    precision: Precision
    batch: int
    file: str
    size_bytes: int
    verified: bool
    weights: str | None = None
    split: str | None = None
    num_images: int | None = None
    metrics: dict[str, float] | None = None
    torch_top1: float | None = None
    agreement: float | None = None
    largest_difference: float | None = None
    num_test_images: int = 0
    test_top1: float | None = None
    latencies: tuple[Latency, ...] = ()
    start_ms: float | None = None
    peak_mb: float | None = None
    quantization: str | None = None

    @property
    def top1(self) -> float | None:
        """Accuracy on the images of `split`."""
        return None if self.metrics is None else self.metrics["top1"]

    @property
    def latency(self) -> Latency | None:
        """Time of a call with one thread, or with as many as the runtime takes."""
        return self.latencies[0] if self.latencies else None


def read_artifacts(folder: Path) -> list[Artifact]:
    """Return what `artifacts.json` lists; figures that an older version did not measure are None.

    Raises:
        InputError: If the file cannot be read, or is of another version.
    """
    path = folder / ARTIFACTS
    if not path.exists():
        return []
    try:
        return [_artifact(each) for each in json.loads(path.read_text(encoding="utf-8"))]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        rule = f"is damaged or of another version ({error}); delete it, then run tdmr export again"
        raise InputError(str(path), rule) from error


def add_artifact(folder: Path, artifact: Artifact) -> None:
    """Add a file to `artifacts.json`; it replaces an entry of the same name."""
    kept = [each for each in read_artifacts(folder) if each.file != artifact.file]
    text = json.dumps([asdict(each) for each in [*kept, artifact]], indent=1, ensure_ascii=False)
    (folder / ARTIFACTS).write_text(text, encoding="utf-8")


def _artifact(entry: Mapping[str, Any]) -> Artifact:
    known = {each.name for each in fields(Artifact)}
    latencies = [Latency(**each) for each in entry.get("latencies", ())]
    if "latency_ms" in entry and entry["latency_ms"] is not None:  # before there were several numbers of threads
        latencies = [Latency(1, entry["latency_ms"], entry["latency_p95_ms"])]
    if unknown := entry.keys() - known - {"latency_ms", "latency_p95_ms"}:
        raise ValueError(f"unknown entry {min(unknown)}")
    return Artifact(**{**{name: entry[name] for name in entry if name in known}, "latencies": tuple(latencies)})
