"""`python -m tdmr_ray.leaderboard DIR...`: one report over one or more searches."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError
from tdmr_ray.report.folder import RECORDS, compare, read_search
from tdmr_ray.report.terminal import say, show
from tdmr_ray.report.write import write_reports


def leaderboard(
    folders: Annotated[list[Path], typer.Argument(help="Results of searches (their --out).")],
    out: Annotated[Path | None, typer.Option(help="Where to write; the first folder if left out.")] = None,
) -> None:
    """Write leaderboard.md .csv .json .html over searches; those on other images get a table of their own."""
    searches = [read_search(folder) for folder in folders]
    empty = [str(folder) for folder, search in zip(folders, searches, strict=True) if not search.records]
    if empty:
        raise InputError(
            "leaderboard", [f"{folder} holds no {RECORDS}; give the --out of a search" for folder in empty]
        )
    comparisons = compare(searches)
    target = out or folders[0]
    target.mkdir(parents=True, exist_ok=True)
    paths = write_reports(comparisons, target)
    console = Console()
    for each in comparisons:
        say(console, each.title)
        show(each.board, console)
    say(console, "Written: " + ", ".join(str(path) for path in paths.values()))


if __name__ == "__main__":
    run_command(leaderboard)
