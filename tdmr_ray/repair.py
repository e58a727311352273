"""`tdmr repair DIR`: move damaged lines of a search's records aside, so that it can be resumed."""

from pathlib import Path
from typing import Annotated

import typer

from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError

ASIDE = "records.damaged.jsonl"


def repair(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output directory of a search that is not running.")],
) -> None:
    """Move damaged lines of records.jsonl to records.damaged.jsonl; `search --resume` runs their trials again."""
    from tdmr_ray.ledger import Ledger
    from tdmr_ray.output_dir import locked_output_dir
    from tdmr_ray.run_layout import RECORDS

    if not (folder / RECORDS).is_file():
        raise InputError("repair", f"{folder} holds no {RECORDS}; give the output directory of a search")
    with locked_output_dir(folder):
        moved = Ledger(folder / RECORDS).move_damaged(folder / ASIDE)
    for line in moved:
        typer.echo(f"line {line.number}: {line.reason}")
    if moved:
        typer.echo(f"{len(moved)} lines are now in {folder / ASIDE}; `search --resume` runs their trials again")
    else:
        typer.echo(f"{folder / RECORDS} is intact")


if __name__ == "__main__":
    run_command(repair)
