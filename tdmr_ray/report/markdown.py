"""A leaderboard as Markdown, for pull requests."""

from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.tables import table
from tdmr_ray.report.wording import NOTES, alarms, cautions, sentence, summary


def render_markdown(board: Leaderboard, *, title: str = "Leaderboard") -> str:
    """Render recommendation, warnings, table, notes, summary and failed trials."""
    frame = table(board)
    lines = [f"# {title}\n\n{sentence(board)}\n"]
    lines += [f"- **{alarm}**" for alarm in alarms(board)]
    lines += [f"- {caution}" for caution in cautions(board)] + [""]
    if len(frame):
        lines.append("| " + " | ".join(frame.columns) + " |")
        lines.append("|" + "|".join(" --- " for _ in frame.columns) + "|")
        lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in frame.to_numpy()]
        lines.append(f"\n{NOTES}\n")
    lines.append(f"{summary(board)}\n")
    if board.failures:
        lines.append("## Failed trials\n")
        lines += [f"- {record.pair.title} `{record.id}`: {record.error}" for record in board.failures]
    return "\n".join(lines) + "\n"
