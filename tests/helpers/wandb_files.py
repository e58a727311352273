"""The file that W&B leaves of a run in offline mode: LevelDB's log format, with a protocol buffer in each record."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, FIRST = 32768, 7
"""Size of a block, and of what comes before the first record: `:W&B`, a magic number and a version."""
WHOLE_OR_LAST = (1, 4)


def records_of(path: Path) -> Iterator[Any]:
    """Yield the records of a file."""
    from wandb.proto import wandb_internal_pb2

    data, at, parts = path.read_bytes(), FIRST, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in WHOLE_OR_LAST:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


class OfflineRun:
    """What is in a run's file.

    Attributes:
        name: Name of the run.
        group: Its group.
        config: Its parameters.
        history: Metrics of each step.
        summary: Its final figures.
        files: Names of the files in its artefacts.
    """

    def __init__(self, path: Path) -> None:
        self.config: dict[str, Any] = {}
        self.history: dict[int, dict[str, Any]] = {}
        self.summary: dict[str, Any] = {}
        self.files: set[str] = set()
        for record in records_of(path):
            match record.WhichOneof("record_type"):
                case "run":
                    self.name, self.group = record.run.display_name, record.run.run_group
                    self.config |= _values(record.run.config.update)
                case "history":
                    self.history[record.history.step.num] = _values(record.history.item)
                case "summary":
                    self.summary |= _values(record.summary.update)
                case "artifact":
                    self.files |= {entry.path for entry in record.artifact.manifest.contents}


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def offline_runs(folder: Path) -> dict[str, OfflineRun]:
    """Return the runs in a folder by name."""
    runs = [OfflineRun(path) for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))]
    return {run.name: run for run in runs}
