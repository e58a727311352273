"""What is known of an exported file, in `artifacts.json` beside it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tdmr_ray.deploy.formats import Precision

ARTIFACTS = "artifacts.json"


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
        split: Split of the images that it classified.
        num_images: Their number.
        metrics: All metrics on them, by name.
        torch_top1: Accuracy of the network in torch on the same images.
        agreement: Share of the images for which it predicts the network's class.
        largest_difference: Largest difference of a probability from the network's.
        latency_ms: Median time of a call with one thread.
        latency_p95_ms: 95th percentile of it.
        start_ms: Time to open it.
        quantization: How an int8 file was made: `post` training, or `aware` of the rounding.
    """

    format: str
    precision: Precision
    batch: int
    file: str
    size_bytes: int
    verified: bool
    split: str | None = None
    num_images: int | None = None
    metrics: dict[str, float] | None = None
    torch_top1: float | None = None
    agreement: float | None = None
    largest_difference: float | None = None
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    start_ms: float | None = None
    quantization: str | None = None

    @property
    def top1(self) -> float | None:
        """Accuracy on the images of `split`."""
        return None if self.metrics is None else self.metrics["top1"]


def read_artifacts(folder: Path) -> list[Artifact]:
    """Return what `artifacts.json` lists."""
    path = folder / ARTIFACTS
    return [Artifact(**each) for each in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def add_artifact(folder: Path, artifact: Artifact) -> None:
    """Add a file to `artifacts.json`; it replaces an entry of the same name."""
    kept = [each for each in read_artifacts(folder) if each.file != artifact.file]
    text = json.dumps([asdict(each) for each in [*kept, artifact]], indent=1, ensure_ascii=False)
    (folder / ARTIFACTS).write_text(text, encoding="utf-8")
