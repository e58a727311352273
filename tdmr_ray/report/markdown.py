"""A leaderboard as Markdown, for pull requests."""

import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

from tdmr_ray.report.exported import NOTES as EXPORTED_NOTES
from tdmr_ray.report.exported import ExportedFile, exported_table
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.per_class import PerClass, class_table, explain
from tdmr_ray.report.tables import table
from tdmr_ray.report.wording import NOTES, alarms, cautions, sentence, summary

DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn the text after them around."""


def render_markdown(
    board: Leaderboard,
    *,
    title: str = "Leaderboard",
    per_class: PerClass | None = None,
    exported: Sequence[ExportedFile] = (),
) -> str:
    """Render recommendation, warnings, table, notes, figures per class, exported files, summary and failed trials."""
    frame = table(board)
    lines = [f"# {title}\n\n{sentence(board)}\n"]
    lines += [f"- **{alarm}**" for alarm in alarms(board)]
    lines += [f"- {caution}" for caution in cautions(board)] + [""]
    if len(frame):
        lines += [*markdown_table(frame), f"\n{NOTES}\n"]
    if per_class is not None:
        lines += ["## Per class\n", *markdown_table(class_table(per_class)), f"\n{explain(per_class)}\n"]
    if exported:
        lines += ["## Exported files\n", *markdown_table(exported_table(exported)), f"\n{EXPORTED_NOTES}\n"]
    lines.append(f"{summary(board)}\n")
    if board.failures:
        lines.append("## Failed trials\n")
        lines += [f"- {record.pair.title} `{record.id}`: {record.error}" for record in board.failures]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line: no markup, HTML, link, cell or direction of text."""
    kept = "".join(" " if unicodedata.category(each) == "Cc" else each for each in str(text) if each not in DIRECTIONS)
    escaped = re.sub(r"([\\`*{}\[\]<>|~&$#]|(?<!\w)_|_(?!\w)|:(?=//))", r"\\\1", " ".join(kept.split()))
    return re.sub(r"^((?:\d+(?=[.)]))?)(?=[-+=.)][-=\s])", r"\1\\", escaped)  # lists and lines


def markdown_table(frame: pd.DataFrame) -> list[str]:
    """Return the lines of a table; a cell stays on one line."""
    rows = [" | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in row) for row in frame.to_numpy()]
    return [
        f"| {' | '.join(frame.columns)} |",
        f"|{'|'.join(' --- ' for _ in frame.columns)}|",
        *(f"| {row} |" for row in rows),
    ]
