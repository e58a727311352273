"""Figures, table rows and remarks of one part, written line by line so that a part cut short loses nothing."""

import json
import math
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

Row = dict[str, str | float]
"""Cells of a table row, by column."""


class Recorder:
    """Prints and keeps what a part finds.

    Args:
        path: File to which the lines are appended.
        known: Figures of the parts before this one.
    """

    def __init__(self, path: Path, known: Mapping[str, float]) -> None:
        self.path, self.known = path, known

    def figure(self, name: str, value: float) -> None:
        """Keep a figure for the JSON file."""
        self._append({"figure": name, "value": value})

    def row(self, **cells: str | float) -> None:
        """Print and keep a table row; rows with the same columns form a table."""
        print("   " + ", ".join(f"{_title(name)}: {shown(value)}" for name, value in cells.items()), flush=True)
        self._append({"row": cells})

    def note(self, text: str) -> None:
        """Print and keep a remark."""
        print(f"   {text}", flush=True)
        self._append({"note": text})

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Note a failure of one measurement inside this context, so that the others of the part go on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - the results say why
            traceback.print_exc()
            self.failed(what, error)

    def failed(self, what: str, error: Exception) -> None:
        """Keep the reason why something could not be measured, in one line."""
        self.note(f"{what} failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}")

    def share_of_gemm_peak(self, tflops: float, precision: str) -> float | None:
        """Return a rate of products as a share of the measured peak in a precision; None if that was not measured."""
        peak = self.known.get(f"gemm_tflops_{precision}")
        return tflops / peak if peak else None

    def _append(self, line: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


@dataclass
class Found:
    """What a part found.

    Attributes:
        figures: Numbers by their names.
        rows: Rows of its tables, in the order of measuring.
        notes: Remarks for the reader.
    """

    figures: dict[str, float] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_lines(path: Path) -> Found:
    """Return what a part has written so far; a last line that is cut off is left out."""
    found = Found()
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if "figure" in line:
            found.figures[line["figure"]] = line["value"]
        elif "row" in line:
            found.rows.append(line["row"])
        else:
            found.notes.append(line["note"])
    return found


def or_unknown(value: float | None) -> str | float:
    """Return a cell for a number that may not have been measured."""
    return "?" if value is None else value


def as_markdown(title: str, status: str, found: Found) -> list[str]:
    """Return the section of a part: its tables, then its remarks."""
    lines = [f"## {title}", "", f"Status: {status}.", ""]
    for columns, rows in groupby(found.rows, key=tuple):
        lines += ["| " + " | ".join(map(_title, columns)) + " |", "|---|" + "--:|" * (len(columns) - 1)]
        lines += ["| " + " | ".join(shown(value) for value in row.values()) + " |" for row in rows]
        lines.append("")
    lines += [f"- {note}" for note in found.notes]
    return [*lines, ""] if found.notes else lines


def shown(value: str | float) -> str:
    """Return a cell's text: a number with three significant digits, or all digits before the point."""
    if isinstance(value, str):
        return value
    whole = math.isfinite(value) and (abs(value) >= 100 or value == int(value))
    return f"{value:.0f}" if whole else f"{value:.3g}"


def _title(column: str) -> str:
    return column.replace("_", " ")
