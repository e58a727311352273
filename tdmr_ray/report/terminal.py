"""A leaderboard at a terminal: the answer and a narrow table. The files hold the whole table."""

from rich.console import Console
from rich.table import Table

from tdmr_ray import terminal
from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.tables import narrow_table
from tdmr_ray.report.wording import alarms, cautions, sentence, summary
from tdmr_ray.terminal import foreign, say


def show(board: Leaderboard, console: Console) -> None:
    """Print the answer, warnings, a narrow table and a summary."""
    frame = narrow_table(board)
    lines = Table()
    for name in frame.columns:
        lines.add_column(foreign(name), justify="left" if name in ("foundation", "target") else "right")
    for cells in frame.to_numpy():
        lines.add_row(*(foreign(cell) for cell in cells))
    say(console, sentence(board))
    for alarm in alarms(board):
        say(console, f"- {alarm}", style="bold red")
    for caution in cautions(board):
        say(console, f"- {caution}")
    if board.rows:
        terminal.show(console, lines)
    say(console, summary(board))
