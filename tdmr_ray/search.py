"""`tdmr search --space FILE`: search every pair, confirm the best, write the leaderboard."""

import csv
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tdmr_ray.cli import FAILED, INTERRUPTED, run_command
from tdmr_ray.durations import parse_duration
from tdmr_ray.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tdmr_ray.api import SearchResult
    from tdmr_ray.records import TrialRecord
    from tdmr_ray.run_layout import RunLayout
    from tdmr_ray.space import Space

GRACE = "25s"
NUM_SAMPLES = 3
PLAIN_WIDTH = 120
"""Width of tables where no terminal shows them."""


def search(
    space: Annotated[Path, typer.Option(help="Space file, YAML.")],
    out: Annotated[Path | None, typer.Option(help="Output directory [runs/NAME-TIME].")] = None,
    trials: Annotated[int | None, typer.Option(help="Number of trials, instead of budget.trials.")] = None,
    pins: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Pin or change a value.")] = None,
    resume: Annotated[bool, typer.Option(help="Continue in --out; finished trials count.")] = False,
    new_data: Annotated[
        bool, typer.Option(help="With --resume: the images have changed; begin anew beside the earlier trials.")
    ] = False,
    warm_start: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Start with the best of another search; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Show what would run.")] = False,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray; 'auto' finds one.")] = None,
    without_token: Annotated[
        bool, typer.Option(help="With --address: join a Ray without a token; whoever reaches it can run code there.")
    ] = False,
    refit: Annotated[
        str | None,
        typer.Option(metavar="true|false|all", help="Train again with val's labels; 'all' adds test's to what ships."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed, instead of the file's.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of teachers [$XDG_CACHE_HOME/tdmr_ray].")] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Location that all machines reach, such as s3://bucket/prefix, for results and teachers."),
    ] = None,
    store_gb: Annotated[float, typer.Option(min=0, help="Size of --store; the least recently used go first.")] = 20.0,
    grace: Annotated[
        str, typer.Option(help="Time that Ctrl-C, SIGTERM or SIGHUP leaves running trials to complete their epoch.")
    ] = GRACE,
    verbose: Annotated[bool, typer.Option(help="Show Ray's log.")] = False,
) -> None:
    """Search for the best way to teach each target from each foundation."""
    from tdmr_ray.api import run_search
    from tdmr_ray.space.reading import parse_overrides, read_space
    from tdmr_ray.terminal import say

    overrides = parse_overrides(pins or [])
    overrides |= {"budget.trials": trials} if trials is not None else {}
    overrides |= {"seed": seed} if seed is not None else {}
    overrides |= parse_overrides([f"confirm.refit={refit}"]) if refit is not None else {}
    grace_s = _seconds(grace)
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    if dry_run:
        describe(read_space(space, overrides), console)
        return
    result = run_search(
        space,
        out=out,
        resume=resume,
        new_data=new_data,
        overrides=overrides,
        warm_start=warm_start or (),
        address=address,
        without_token=without_token,
        store=store,
        store_gb=store_gb,
        storage=storage,
        verbose=verbose,
        grace_s=grace_s,
        on_message=partial(say, console),
        console=console,
    )
    show_result(result, storage, console)
    sys.exit(exit_code(result, storage, console))


def _seconds(grace: str) -> float:
    try:
        seconds = parse_duration(grace)
    except ValueError as error:
        raise InputError("--grace", f"{error}, got '{grace}'") from error
    assert isinstance(seconds, float), "a string becomes a number"
    return seconds


def describe(space: "Space", console: Console) -> None:
    """Show pairs, the size of the space, teachers and some configurations; nothing is started."""
    from tdmr_ray.terminal import say
    from tdmr_ray.tuning.draws import draw_configs

    continuous = space.continuous()
    beside = f" times {len(continuous)} continuous ({', '.join(continuous)})" if continuous else ""
    teachers = space.num_teachers()
    most = space.budget.trials if teachers is None else min(teachers, space.budget.trials)
    lines = [
        f"{space.name}: {len(space.all_pairs)} pairs, {space.budget.trials} trials of {space.budget.epochs} epochs",
        *(f"  {foundation} -> {target}" for foundation, target in space.all_pairs),
        f"space: {space.num_configurations()} discrete configurations of each pair{beside}",
        f"teachers: {'a continuum' if teachers is None else teachers} possible, at most {most} needed",
        f"{NUM_SAMPLES} sampled configurations:",
    ]
    for config in draw_configs(space, NUM_SAMPLES):
        pair = f"{config.foundation.label} -> {config.target.name}"
        lines.append(f"  {pair}: {json.dumps(space.values_of(config))}")
    say(console, "\n".join(lines))


def show_result(result: "SearchResult", storage: str | None, console: Console) -> None:
    """Show the leaderboard and the locations of the results."""
    from tdmr_ray.report.terminal import show
    from tdmr_ray.run_layout import RunLayout
    from tdmr_ray.terminal import say

    show(result.leaderboard, console)
    layout = RunLayout(result.out)
    say(console, f"report: {result.out / 'leaderboard.html'}")
    if result.models:
        say(console, f"weights: {layout.best}")
    for line in inspected_files(layout):
        say(console, line)
    say(console, f"TensorBoard: tensorboard --logdir {layout.tensorboard}")
    if storage:
        say(console, f"all of it also in {storage.rstrip('/')}/{result.out.name}")


def inspected_files(layout: "RunLayout") -> "list[str]":
    """Return one line for each table about the images that a search has written and that is not empty."""
    tables = (
        (layout.label_issues, "labels that are likely wrong"),
        (layout.next_to_label, "images to label next"),
    )
    counts = [(path, what, _num_rows(path)) for path, what in tables]
    return [f"{what}: {count}, in {path}" for path, what, count in counts if count]


def _num_rows(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def exit_code(result: "SearchResult", storage: str | None, console: Console) -> int:
    """Explain why a search is unfinished; 0 if it is finished."""
    from tdmr_ray.api.searching import resume_advice
    from tdmr_ray.terminal import say

    if result.interrupted:
        say(console, f"interrupted; {resume_advice(result.out, storage)}")
        return INTERRUPTED
    searched = [record for record in result.records if record.phase == "search" and not record.outside]
    if any(record.state == "complete" for record in searched):
        return 0
    say(console, _why_none_finished(searched))
    return FAILED


def _why_none_finished(searched: "Sequence[TrialRecord]") -> str:
    failed = [record for record in searched if record.state == "failed"]
    early = sum(record.state == "pruned" for record in searched)
    parts = [f"{early} stopped early"] if early else []
    if failed:
        parts.append(f"{len(failed)} failed: {'; '.join(sorted({record.error for record in failed}))}")
    return f"no trial finished: {', '.join(parts)}" if parts else "no trial has finished"


if __name__ == "__main__":
    run_command(search)
