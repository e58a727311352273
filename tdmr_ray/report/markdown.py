"""A leaderboard as Markdown, for pull requests."""

import pandas as pd

from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.per_class import PerClass, class_table, explain
from tdmr_ray.report.tables import table
from tdmr_ray.report.wording import NOTES, alarms, cautions, sentence, summary


def render_markdown(board: Leaderboard, *, title: str = "Leaderboard", per_class: PerClass | None = None) -> str:
    """Render recommendation, warnings, table, notes, figures per class, summary and failed trials."""
    frame = table(board)
    lines = [f"# {title}\n\n{sentence(board)}\n"]
    lines += [f"- **{alarm}**" for alarm in alarms(board)]
    lines += [f"- {caution}" for caution in cautions(board)] + [""]
    if len(frame):
        lines += [*_table(frame), f"\n{NOTES}\n"]
    if per_class is not None:
        lines += ["## Per class\n", *_table(class_table(per_class)), f"\n{explain(per_class)}\n"]
    lines.append(f"{summary(board)}\n")
    if board.failures:
        lines.append("## Failed trials\n")
        lines += [f"- {record.pair.title} `{record.id}`: {record.error}" for record in board.failures]
    return "\n".join(lines) + "\n"


def _table(frame: pd.DataFrame) -> list[str]:
    """Return the lines of a table; a cell stays on one line."""
    rows = [" | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in row) for row in frame.to_numpy()]
    return [
        f"| {' | '.join(frame.columns)} |",
        f"|{'|'.join(' --- ' for _ in frame.columns)}|",
        *(f"| {row} |" for row in rows),
    ]
