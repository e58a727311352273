"""`tdmr leaderboard DIR...`: one report over one or more searches."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tdmr_ray.cli import run_command


def leaderboard(
    folders: Annotated[list[str], typer.Argument(help="Output directories of searches, or URIs such as s3://...")],
    out: Annotated[Path | None, typer.Option(help="Where to write [the first directory, or . for a URI].")] = None,
) -> None:
    """Write leaderboard.md .csv .json .html over searches; those on other images get a table of their own."""
    from tdmr_ray.api import merge_results
    from tdmr_ray.report.terminal import show
    from tdmr_ray.terminal import say

    console = Console()
    comparisons, paths = merge_results(folders, out or Path("." if "://" in folders[0] else folders[0]))
    for each in comparisons:
        say(console, each.title)
        show(each.board, console)
    say(console, "Written: " + ", ".join(str(path) for path in paths.values()))


if __name__ == "__main__":
    run_command(leaderboard)
