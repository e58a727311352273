"""Read searches from their output directories, and group those that used the same images."""

import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from tdmr_ray.checksums import DamagedJson, checked_object
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.errors import InputError
from tdmr_ray.inspection.contents import Inspection
from tdmr_ray.ledger import Ledger
from tdmr_ray.models.cost import Costs, read_costs
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.exported import ExportedFile, read_exported
from tdmr_ray.report.leaderboard import Leaderboard, build_leaderboard
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.training.reliability import ModelReliability, read_reliability
from tdmr_ray.training.visualizations import Visualizations

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """Results of a search.

    Attributes:
        title: Name of the search space, or of the directory.
        records: Records of all trials.
        costs: Costs of each target (`params`, `macs`, `latency_ms`), as far as they were measured.
        visualizations: Visualizations of the finalists, by the id of their record.
        space: Text of the space file.
        environment: Machine and package versions, as JSON.
        data_summary: Facts about the images; None for built-in sets.
        reliability: Reliability of the shipped models, the recommended one first.
        inspection: Label issues, confusions and heat maps; None if nothing is confirmed.
        exported: Exported files of its models.
    """

    title: str
    records: Sequence[TrialRecord]
    costs: Costs = field(default_factory=dict)
    visualizations: dict[str, Visualizations] = field(default_factory=dict)
    space: str = ""
    environment: str = ""
    data_summary: DataSummary | None = None
    reliability: list[ModelReliability] = field(default_factory=list)
    inspection: Inspection | None = None
    exported: Sequence[ExportedFile] = ()

    @property
    def data(self) -> str:
        """Fingerprint of the images and their split, as the search had them."""
        searched = [record for record in self.records if record.phase == "search" and not record.outside]
        found = Counter(record.data for record in searched if record.data)
        return found.most_common(1)[0][0] if found else ""


@dataclass(frozen=True)
class Comparison:
    """Searches on the same images and split, which share a leaderboard."""

    searches: Sequence[Search]

    @property
    def title(self) -> str:
        """Titles of all searches."""
        return ", ".join(search.title for search in self.searches)

    @cached_property
    def records(self) -> list[TrialRecord]:
        """Records of all searches that count: none that had other images or is outside its search's space."""
        return [record for search in self.searches for record in search.records if not record.outside]

    @cached_property
    def visualizations(self) -> dict[str, Visualizations]:
        """Visualizations of all searches, by the id of their record."""
        return {name: shown for search in self.searches for name, shown in search.visualizations.items()}

    @property
    def exported(self) -> list[ExportedFile]:
        """Exported files of the models of all searches."""
        return [file for search in self.searches for file in search.exported]

    @cached_property
    def board(self) -> Leaderboard:
        """Leaderboard of all searches."""
        costs = {name: cost for search in self.searches for name, cost in search.costs.items()}
        return build_leaderboard(self.records, costs)


def read_search(folder: Path) -> Search:
    """Read a search from its output directory; files that do not exist count as empty.

    Raises:
        InputError: If its records or the costs of its targets are damaged. Other damaged files are left out.
    """
    layout = RunLayout(folder)
    records = Ledger(layout.records).read()
    shown = {record.id: layout.visualizations(record.artifacts) for record in records if record.artifacts}
    return Search(
        title=_name_in(layout.space) or folder.name,
        records=records,
        costs=_costs(layout.targets),
        visualizations={
            name: cast("Visualizations", found) for name, path in shown.items() if (found := _object(path)) is not None
        },
        space=_text(layout.space),
        environment=json.dumps(_object(layout.environment) or {}, indent=1),
        data_summary=read_summary(layout),
        reliability=read_reliability(layout.best),
        inspection=cast("Inspection | None", _object(layout.inspection)),
        exported=read_exported(layout),
    )


def compare(searches: Sequence[Search]) -> list[Comparison]:
    """Group searches by images and split; results on different images are never compared."""
    groups: dict[str, list[Search]] = {}
    for search in searches:
        groups.setdefault(search.data, []).append(search)
    return [Comparison(group) for group in groups.values()]


def read_summary(layout: RunLayout) -> DataSummary | None:
    """Return the facts about a search's images; None if there are none, or the file is damaged."""
    found = _object(layout.data_summary)
    return None if found is None else DataSummary.model_validate(found)


def _costs(path: Path) -> Costs:
    try:
        return read_costs(path)
    except DamagedJson as error:
        cure = "remove it to leave the costs out, or let search --resume measure them again"
        raise InputError(str(path), f"is damaged: {error}; {cure}") from error


def _object(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None if there is no file, or a damaged one."""
    if not path.exists():
        return None
    try:
        return checked_object(path.read_bytes(), required=True)
    except DamagedJson as error:
        log.warning("%s is damaged: %s; it is left out", path, error)
        return None


def _text(path: Path) -> str:
    """Return a text; '' if there is no file, or one that is not text."""
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except UnicodeDecodeError:
        log.warning("%s is damaged: it is not text; it is left out", path)
        return ""


def _name_in(path: Path) -> str:
    """Return the `name` in a space file; '' if it has none or does not exist."""
    line = next((line for line in _text(path).splitlines() if line.startswith("name:")), "name:")
    return line.removeprefix("name:").strip()
