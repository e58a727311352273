"""Searches as a report reads them: layout of results, grouped by the images that they were on."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tdmr_ray.records import TDMR, Ledger, TrialRecord
from tdmr_ray.report.leaderboard import Leaderboard, build_leaderboard
from tdmr_ray.run_layout import RunLayout

Costs = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Search:
    """What a search left.

    Attributes:
        title: Of its space, or its folder's name.
        records: Every trial.
        costs: Of each target: `params`, `macs`, `latency_ms`, as far as measured.
        visualizations: What finalists left to be shown, by the id of their record.
        space: The space file's text.
        environment: Machine and versions, as JSON.
    """

    title: str
    records: Sequence[TrialRecord]
    costs: Costs = field(default_factory=dict)
    visualizations: dict[str, dict[str, Any]] = field(default_factory=dict)
    space: str = ""
    environment: str = ""

    @property
    def data(self) -> str:
        """Fingerprint of its images and split."""
        found = Counter(record.data for record in self.records if record.role == TDMR and record.data)
        return found.most_common(1)[0][0] if found else ""


@dataclass(frozen=True)
class Comparison:
    """Searches on the same images and split, which share a leaderboard."""

    searches: Sequence[Search]

    @property
    def title(self) -> str:
        """Of all of them."""
        return ", ".join(search.title for search in self.searches)

    @cached_property
    def records(self) -> list[TrialRecord]:
        """Of all of them."""
        return [record for search in self.searches for record in search.records]

    @cached_property
    def visualizations(self) -> dict[str, dict[str, Any]]:
        """Of all of them."""
        return {name: shown for search in self.searches for name, shown in search.visualizations.items()}

    @cached_property
    def board(self) -> Leaderboard:
        """Their leaderboard."""
        costs = {name: cost for search in self.searches for name, cost in search.costs.items()}
        return build_leaderboard(self.records, costs)


def read_search(folder: Path) -> Search:
    """A search from its folder of results; without records if there are none."""
    layout = RunLayout(folder)
    records = Ledger(layout.records).read()
    shown = {record.id: layout.visualizations(record.artifacts) for record in records if record.artifacts}
    return Search(
        title=_name_in(layout.space) or folder.name,
        records=records,
        costs=json.loads(_text(layout.targets) or "{}"),
        visualizations={
            name: json.loads(path.read_text(encoding="utf-8")) for name, path in shown.items() if path.exists()
        },
        space=_text(layout.space),
        environment=_text(layout.environment),
    )


def compare(searches: Sequence[Search]) -> list[Comparison]:
    """One comparison for each set of images and split: figures from different images are never mixed."""
    groups: dict[str, list[Search]] = {}
    for search in searches:
        groups.setdefault(search.data, []).append(search)
    return [Comparison(group) for group in groups.values()]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _name_in(path: Path) -> str:
    """`name` of a space file, '' without one."""
    line = next((line for line in _text(path).splitlines() if line.startswith("name:")), "name:")
    return line.removeprefix("name:").strip()
