"""`tdmr init DATA`: write a space file that suits one's own images and this machine."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from tdmr_ray.cli import run_command
from tdmr_ray.durations import parse_duration
from tdmr_ray.errors import InputError

LOOK_PX = 64
"""Side to which images are decoded for a first look."""


def init(
    source: Annotated[str, typer.Argument(metavar="DATA", help="A folder, csv:FILE, or another source of data.name.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Space file to write; it must not exist.")] = Path(
        "space.yaml"
    ),
    time: Annotated[str, typer.Option(help="Time for search and confirmation, such as 1h30m.")] = "30m",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FILE", help="Weights of a timm network, large to teach or small to ship; may be repeated."
        ),
    ] = None,
    pins: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A key of the data section.")
    ] = None,
) -> None:
    """Look at images and machine, and write a space file with the reason for each line."""
    seconds = _check_options(out, time)
    from tdmr_ray.api.own_images import data_options, load_own_images
    from tdmr_ray.initial.facts import ImageFacts, Machine
    from tdmr_ray.initial.rendering import render
    from tdmr_ray.initial.space_file import compose
    from tdmr_ray.initial.weights import find_weights

    reachable = find_weights(weights or [])
    options = data_options(pins or [])
    task, summary = load_own_images(source, {"on_bad_image": "skip", "image_px": LOOK_PX, **options})
    assert task.source is not None, "it was loaded by its name"
    loaded = task.source.model_dump(mode="json", exclude_unset=True)
    given = {key: value for key, value in loaded.items() if key in ("name", *options)}
    facts, machine = ImageFacts.of(task, summary), Machine.this()
    sections = compose(given, facts, machine, reachable, (time, seconds), _count_macs)
    text = f"{_heading(source, out, machine.describe())}{render(sections)}"
    space = _checked(text, out)
    _write(out, text)
    shown = summary.model_copy(update={"size_px": space.data.image_px})
    typer.echo("\n".join([*shown.lines(), "", *_last_lines(out, sections)]))


def _count_macs(name: str, image_px: int) -> float:
    from tdmr_ray.models.cost import measure_target

    return measure_target(name, num_classes=2, image_px=image_px, repeats=3).macs


def _check_options(out: Path, time: str) -> float:
    """Return the seconds of a time.

    Raises:
        InputError: If the time is none, or the file cannot be written.
    """
    problems = []
    if out.exists():
        problems.append(f"--out: {out} exists; give another file, or remove it")
    elif not out.absolute().parent.is_dir():
        problems.append(f"--out: there is no folder {out.parent}; make it first")
    seconds: Any = 0.0
    try:
        seconds = parse_duration(time)
    except ValueError as error:
        problems.append(f"--time: {error}, got '{time}'")
    else:
        problems += [] if seconds > 0 else [f"--time: must be positive, got '{time}'"]
    if problems:
        raise InputError("init", problems)
    return float(seconds)


def _checked(text: str, out: Path) -> Any:
    """Return the space of a file's text.

    Raises:
        InputError: With the problems that a search would find, such as those of files that were given.
    """
    import yaml

    from tdmr_ray.space.reading import space_from_dict

    return space_from_dict(yaml.safe_load(text), name=str(out))


def _heading(source: str, out: Path, machine: str) -> str:
    from tdmr_ray.initial.rendering import comment

    lines = {
        "Asks:   ": f"What is the best small classifier for the images in {source}?",
        "Run:    ": f"tdmr search --space {shlex.quote(str(out))}",
        "Cost:   ": "budget.time limits it; the first line of a run estimates it.",
        "Made:   ": f"by `tdmr init`, for {machine}. Each line has its reason; change what you know better.",
    }
    return "".join(f"# {start}{comment(text)}\n" for start, text in lines.items())


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except (FileExistsError, PermissionError) as error:
        raise InputError("init", f"--out: {out} cannot be written: {error.strerror}; give another file") from error


def _last_lines(out: Path, sections: Any) -> list[str]:
    """Return what was decided about the networks, and what to run next."""
    from tdmr_ray.initial.rendering import flow

    file = shlex.quote(str(out))
    return [
        f"wrote {out}",
        *(f"  {key}: {flow(choice.value)}: {choice.reason}" for key, choice in sections["pairs"].items()),
        "read it, change what you like, and look at what would run:",
        f"  tdmr search --space {file} --dry-run",
        "then search:",
        f"  tdmr search --space {file}",
    ]


if __name__ == "__main__":
    run_command(init)
