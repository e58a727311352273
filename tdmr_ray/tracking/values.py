"""What trackers log: run ids that a resumed search finds again, and parameters as text."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tdmr_ray.records import TrialRecord
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.training.config import flatten
from tdmr_ray.tuning.trial_spec import TrialSpec

REPORT_SUFFIXES = ("html", "md", "csv", "json")


def saved_id(root: Path, tracker: str) -> str:
    """Return the id that a search has in a tracker; '' if it has none yet."""
    return _ids(root).get(tracker, "")


def save_id(root: Path, tracker: str, run_id: str) -> None:
    """Keep the id that a search has in a tracker."""
    text = json.dumps({**_ids(root), tracker: run_id}, indent=2)
    RunLayout(root).tracking.write_text(f"{text}\n", encoding="utf-8")


def _ids(root: Path) -> dict[str, str]:
    try:
        ids: dict[str, str] = json.loads(RunLayout(root).tracking.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return ids


def parameters_of(trial: TrialSpec | TrialRecord) -> dict[str, Any]:
    """Return every value of a trial's configuration by dotted path."""
    return trial.config.flat() if isinstance(trial, TrialSpec) else flatten(trial.config)


def tags_of(trial: TrialSpec | TrialRecord) -> dict[str, str]:
    """Return what a trial is filed under."""
    pair = trial.pair
    names = {"pair": pair.name, "foundation": pair.foundation, "target": pair.target}
    return {"trial": trial.id, "phase": trial.phase, "role": trial.role, **names}


def as_text(value: Any) -> str:
    """Return a parameter as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def report_files(layout: RunLayout) -> Iterator[Path]:
    """Yield the files of the report, the ledger and the space file, as far as they exist."""
    files = [*(layout.leaderboard(suffix) for suffix in REPORT_SUFFIXES), layout.records, layout.space]
    yield from (path for path in files if path.exists())
