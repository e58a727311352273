"""`tdmr data SOURCE`: what a search would see in a folder, table or other source of images."""

from pathlib import Path
from typing import Annotated

import typer

from tdmr_ray.cli import run_command


def data(
    source: Annotated[str, typer.Argument(help="A folder, csv:FILE, or another source of data.name.")],
    pins: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of the data section.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    sheets: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a contact sheet (PNG) for each class there.")
    ] = None,
) -> None:
    """Summarize images: classes, splits, images without labels, what is left out, and near-duplicates."""
    from tdmr_ray.api.own_images import data_options, load_own_images
    from tdmr_ray.data.contact_sheet import write_contact_sheets

    task, summary = load_own_images(source, {"on_bad_image": "skip", **data_options(pins or [])})
    typer.echo(summary.model_dump_json(indent=2) if json else "\n".join(summary.lines()))
    if sheets is not None:
        written = write_contact_sheets(task, sheets)
        typer.echo(f"{len(written)} contact sheets in {sheets}", err=json)


if __name__ == "__main__":
    run_command(data)
