"""The exported files of the shipped models, as `tdmr export` left them in `best/` and `best/PAIR/`."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tdmr_ray.deploy.artifact import Artifact, Latency, read_artifacts
from tdmr_ray.errors import InputError
from tdmr_ray.report.formatting import MISSING, milliseconds, percent
from tdmr_ray.run_layout import BEST, RunLayout
from tdmr_ray.training.model_folder import weights_digest

log = logging.getLogger(__name__)

NOTES = (
    "A file is kept by its accuracy on val; test is read afterwards and decides nothing. A model that trained on val "
    "has no figure there, and its files are kept by test. "
    "Same class is the share of images that the file and the network classify alike. "
    "Latency is median / 95th percentile for one call, on the machine that exported the file; "
    "own threads are as many as the runtime takes. "
    "Memory is what opening and running the file adds to a process that has imported its runtime, with one thread."
)


@dataclass(frozen=True)
class ExportedFile:
    """An exported file of a shipped model.

    Attributes:
        model: `best`, or the name of the pair.
        artifact: What is known of it.
        outdated: Whether the model has other weights now.
    """

    model: str
    artifact: Artifact
    outdated: bool


def read_exported(layout: RunLayout) -> list[ExportedFile]:
    """Return the exported files of a search's models; a list that cannot be read is left out with a warning."""
    pairs = sorted(path for path in layout.best.iterdir() if path.is_dir()) if layout.best.is_dir() else []
    return [each for folder in (layout.best, *pairs) for each in exported_of(folder, layout)]


def exported_of(folder: Path, layout: RunLayout) -> list[ExportedFile]:
    """Return the exported files in one model's folder."""
    try:
        found = read_artifacts(folder)
    except InputError as error:
        log.warning("%s", error)
        return []
    digest = weights_digest(folder) if found else None
    name = BEST if folder == layout.best else folder.name
    return [ExportedFile(name, each, bool(digest and each.weights and digest != each.weights)) for each in found]


def exported_table(files: Sequence[ExportedFile]) -> pd.DataFrame:
    """Format the files, one line each."""
    used = {each.threads for file in files for each in file.artifact.latencies}
    counts = sorted(used, key=lambda count: (count == 0, count))
    return pd.DataFrame([_cells(each, counts) for each in files])


def _cells(file: ExportedFile, counts: Iterable[int]) -> dict[str, str]:
    found = file.artifact
    times = {each.threads: each for each in found.latencies}
    return {
        "model": file.model,
        "file": found.file,
        "format": found.format,
        "precision": found.precision,
        "state": _state(file),
        "MB": f"{found.size_bytes / 1e6:.2f}",
        "val %": percent(found.top1 if found.split == "val" else None),
        "test %": percent(found.top1 if found.split == "test" else found.test_top1),
        "same class %": percent(found.agreement),
        **{_threads(count): _times(times.get(count)) for count in counts},
        "opened in ms": milliseconds(found.start_ms),
        "memory MB": MISSING if found.peak_mb is None else f"{found.peak_mb:.1f}",
    }


def _threads(count: int) -> str:
    return f"ms, {count} thread{'s' * (count > 1)}" if count else "ms, own threads"


def _times(latency: Latency | None) -> str:
    return f"{milliseconds(latency.median_ms)} / {milliseconds(latency.p95_ms)}" if latency else MISSING


def _state(file: ExportedFile) -> str:
    if file.outdated:
        return "of earlier weights, export again"
    if not file.artifact.verified:
        return "converted, not run"
    return "verified" if file.artifact.batch == 1 else f"verified, batch of {file.artifact.batch}"
