"""The file format of a benchmark's result: `results/NAME.json` with date, commit, machine, versions and figures."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from tdmr_ray.report.statistics import Estimate
from tdmr_ray.runner.environment import describe_environment

FOLDER = Path(__file__).parent / "results"


Figures = Mapping[str, float | Estimate]
"""Results of a benchmark by name."""


def write_results(name: str, figures: Figures, folder: Path = FOLDER, notes: Mapping[str, Any] | None = None) -> Path:
    """Write the figures of a benchmark as `FOLDER/NAME.json`.

    Args:
        name: The benchmark's.
        figures: An `Estimate` becomes mean, low, high and n.
        folder: Where the file goes.
        notes: Further entries that are not numbers, such as the revisions that were compared.
    """
    environment = describe_environment()
    content: dict[str, Any] = {
        "date": date.today().isoformat(),
        "commit": environment["commit"],
        "machine": {"cpu_count": os.cpu_count(), "processor": platform.machine(), "gpu": environment["gpu"]},
        "versions": environment["versions"],
        **(notes or {}),
        "figures": {key: as_json(value) for key, value in figures.items()},
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def show_and_keep(name: str, lines: list[str], figures: Figures, notes: Mapping[str, Any] | None = None) -> None:
    """Print a benchmark's table and keep it as `results/NAME.md` beside its figures."""
    print("\n".join(lines) + "\n")
    print(keep(name, lines, figures, notes))


def keep(
    name: str, lines: list[str], figures: Figures, notes: Mapping[str, Any] | None = None, folder: Path = FOLDER
) -> Path:
    """Write a benchmark's table as `FOLDER/NAME.md` and its figures beside it; return the path of the figures."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return write_results(name, figures, folder, notes)


def as_json(value: float | Estimate) -> Any:
    """Return a figure for a result file: a rounded number, or mean, low, high and n."""
    if not isinstance(value, Estimate):
        return round(value, 4)
    kept = {key: asdict(value)[key] for key in ("mean", "low", "high", "n")}
    return {key: round(number, 4) if isinstance(number, float) else number for key, number in kept.items()}
