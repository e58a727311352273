"""`tdmr push DIR/best/PAIR DEST`: a small model for Hugging Face's hub, or as a folder that timm opens."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from tdmr_ray.cli import run_command


def push(
    folder: Annotated[Path, typer.Argument(help="A folder under best/ of a search's results.")],
    dest: Annotated[str, typer.Argument(help="A new folder or a former push, or hf://USER/NAME.")],
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository on the hub public; it is private otherwise.")
    ] = False,
) -> None:
    """Write weights, timm's configuration, model card and exported files; check images stay behind.

    timm opens the result: timm.create_model("local-dir:DEST", pretrained=True), or "hf-hub:USER/NAME".
    """
    from tdmr_ray.deploy.hub_folder import write_hub_folder
    from tdmr_ray.deploy.hub_upload import HUB, hub_name, open_hub, upload

    if not dest.startswith(HUB):
        typer.echo(f"{dest}: {', '.join(write_hub_folder(folder, Path(dest)))}")
        return
    name = hub_name(dest)
    api = open_hub(name)
    with TemporaryDirectory() as scratch:
        write_hub_folder(folder, Path(scratch))
        typer.echo(upload(api, Path(scratch), name, public=public))


if __name__ == "__main__":
    run_command(push)
