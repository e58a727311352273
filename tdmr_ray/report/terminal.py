"""A leaderboard at a terminal: the answer and a narrow table. The files hold the whole table."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tdmr_ray.report.leaderboard import Leaderboard
from tdmr_ray.report.tables import narrow_table
from tdmr_ray.report.wording import alarms, cautions, sentence, summary


def show(board: Leaderboard, console: Console) -> None:
    """Print the answer, warnings, a narrow table and a summary."""
    frame = narrow_table(board)
    lines = Table()
    for name in frame.columns:
        lines.add_column(name, justify="left" if name in ("foundation", "target") else "right")
    for cells in frame.to_numpy():
        lines.add_row(*(escape(str(cell)) for cell in cells))
    say(console, sentence(board))
    for alarm in alarms(board):
        console.print(f"- {alarm}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    for caution in cautions(board):
        say(console, f"- {caution}")
    if board.rows:
        console.print(lines)
    say(console, summary(board))


def say(console: Console, text: str) -> None:
    """Print a line without interpreting its brackets as markup."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
