"""`python -m tdmr_ray.leaderboard DIR...`: one report over one or more searches."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError
from tdmr_ray.report.folder import Costs, read_folder
from tdmr_ray.report.leaderboard import build_leaderboard
from tdmr_ray.report.render import render_markdown, write_reports


def leaderboard(
    folders: Annotated[list[Path], typer.Argument(help="Results of searches (their --out).")],
    out: Annotated[Path | None, typer.Option(help="Where to write; the first folder if left out.")] = None,
) -> None:
    """Write leaderboard.md .csv .json .html over one or more searches on the same data."""
    records, costs = [], Costs()
    for folder in folders:
        found, measured = read_folder(folder)
        records += found
        costs |= measured
    data = {record.data for record in records if record.data and record.role == "tdmr"}
    if len(data) > 1:
        raise InputError(
            "leaderboard", f"searches must be on the same images and split, got {len(data)} different ones"
        )
    board = build_leaderboard(records, costs)
    target = out or folders[0]
    target.mkdir(parents=True, exist_ok=True)
    paths = write_reports(board, target, title=", ".join(folder.name for folder in folders))
    console = Console()
    console.print(Markdown(render_markdown(board)))
    console.print("Written: " + ", ".join(str(path) for path in paths.values()), soft_wrap=True, highlight=False)


if __name__ == "__main__":
    run_command(leaderboard)
