"""`python -m tdmr_ray.leaderboard DIR...`: one report over one or more searches."""

from pathlib import Path
from typing import Annotated

import typer
from pyarrow import ArrowException
from rich.console import Console

from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError
from tdmr_ray.report.fetch import fetched
from tdmr_ray.report.folder import Search, compare, read_search
from tdmr_ray.report.terminal import say, show
from tdmr_ray.report.write import write_reports
from tdmr_ray.run_layout import RECORDS


def leaderboard(
    folders: Annotated[list[str], typer.Argument(help="Results of searches: their --out, or a URI such as s3://...")],
    out: Annotated[
        Path | None, typer.Option(help="Where to write; the first folder if left out, or . for a URI.")
    ] = None,
) -> None:
    """Write leaderboard.md .csv .json .html over searches; those on other images get a table of their own."""
    searches = [_read(folder) for folder in folders]
    empty = [folder for folder, search in zip(folders, searches, strict=True) if not search.records]
    if empty:
        raise InputError(
            "leaderboard", [f"{folder} holds no {RECORDS}; give the --out of a search" for folder in empty]
        )
    comparisons = compare(searches)
    target = out or Path("." if "://" in folders[0] else folders[0])
    target.mkdir(parents=True, exist_ok=True)
    paths = write_reports(comparisons, target)
    console = Console()
    for each in comparisons:
        say(console, each.title)
        show(each.board, console)
    say(console, "Written: " + ", ".join(str(path) for path in paths.values()))


def _read(location: str) -> Search:
    """A search, wherever it lies.

    Raises:
        InputError: If the place cannot be reached.
    """
    try:
        with fetched(location) as folder:
            return read_search(folder)
    except (OSError, ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            "leaderboard", f"{location} cannot be read: {reason}; check the address and your rights"
        ) from error


if __name__ == "__main__":
    run_command(leaderboard)
