"""`python -m tdmr_ray.search --space FILE`: search every pair, confirm the best, write the leaderboard."""

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import optuna
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tdmr_ray.cli import FAILED, INTERRUPTED, run_command
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.output_dir import fetch_earlier, locked_output_dir, open_storage, prepare_output_dir
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.folder import compare, read_search
from tdmr_ray.report.terminal import say, show
from tdmr_ray.report.write import write_reports
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.runner.weights import check_weights
from tdmr_ray.space import Space
from tdmr_ray.space.reading import parse_overrides, read_space
from tdmr_ray.store import Store

DEFAULT_OUT = Path("runs")
NUM_SAMPLES = 3
PLAIN_WIDTH = 120
"""Of tables that no terminal shows."""


def search(
    space: Annotated[Path, typer.Option(help="Space file, YAML.")],
    out: Annotated[Path | None, typer.Option(help="Folder for results [runs/NAME-TIME].")] = None,
    trials: Annotated[int | None, typer.Option(help="Instead of budget.trials.")] = None,
    pins: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Pin or change a value.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on in --out; what is finished there counts.")] = False,
    warm_start: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Begin with the best of another search; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Show what would be done.")] = False,
    address: Annotated[str | None, typer.Option(help="Of a running Ray; 'auto' finds one.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the file's.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of teachers [$XDG_CACHE_HOME/tdmr_ray].")] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="StoragePath that all machines reach, such as s3://bucket/prefix: results and teachers."),
    ] = None,
    store_gb: Annotated[float, typer.Option(min=0, help="Of --store, beyond which the longest unused go.")] = 20.0,
    verbose: Annotated[bool, typer.Option(help="Show what Ray says.")] = False,
) -> None:
    """Search for the best way to teach each target from each foundation."""
    overrides = parse_overrides(pins or [])
    overrides |= {"budget.trials": trials} if trials is not None else {}
    overrides |= {"seed": seed} if seed is not None else {}
    plan = read_space(space, overrides)
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    if dry_run:
        describe(plan, console)
        return
    from tdmr_ray.runner.launch import LaunchOptions, launch_search, open_tasks

    root = out or DEFAULT_OUT / f"{plan.name}-{datetime.now():%Y%m%d-%H%M%S}"
    others = [record for folder in warm_start or [] for record in records_of(folder)]
    check_weights(plan)
    shared = open_storage(storage) if storage else None
    results = shared / root.name if shared else None
    if results:
        fetch_earlier(results, root, resume=resume)
    prepare_output_dir(root, resume=resume)
    with locked_output_dir(root):
        nearby = (store or default_store()).expanduser().resolve()
        teachers = Store(nearby, shared / "teachers" if shared else None, int(store_gb * 1e9))
        layout = RunLayout(root.resolve(), results)
        tasks = open_tasks(teachers)
        for note in open_images_with_bar(plan, tasks, console).notes:
            say(console, note)
        options = LaunchOptions(address=address, verbose=verbose, others=others, console=console)
        end = launch_search(
            plan,
            layout,
            teachers,
            tasks=tasks,
            on_message=partial(say, console),
            write_reports=partial(show_reports, layout, console),
            options=options,
        )
        code = exit_code(layout, console, interrupted=end.interrupted)
    sys.exit(code)


def default_store() -> Path:
    """Teachers outlive a search, so they lie in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tdmr_ray" / "teachers"


def records_of(folder: Path) -> Sequence[TrialRecord]:
    """The records of another search.

    Raises:
        InputError: If there are none.
    """
    records = read_search(folder).records
    if not records:
        raise InputError("--warm-start", f"there is no records.jsonl of a search in {folder}; give its --out")
    return records


def describe(space: Space, console: Console) -> None:
    """Pairs, the size of the space, teachers, and some configurations; nothing is started."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
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
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=space.seed))
    for number in range(NUM_SAMPLES):
        trial = study.ask()
        foundation, target = space.all_pairs[number % len(space.all_pairs)]
        space.suggest(trial, foundation, target)
        lines.append(f"  {foundation} -> {target}: {json.dumps(trial.params)}")
    say(console, "\n".join(lines))


def open_images_with_bar(space: Space, tasks: TaskCache, console: Console) -> Task:
    """Open the images of a space; a bar shows how many are decoded."""
    columns = (TextColumn("decoding images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(load_dataset(space.data.name).labels))
        return tasks.get(space.data, on_progress=partial(progress.advance, bar))


def show_reports(layout: RunLayout, console: Console) -> None:
    """Write and show the leaderboard of what is finished."""
    root = layout.root
    comparisons = compare([read_search(root)])
    paths = write_reports(comparisons, root)
    show(comparisons[0].board, console)
    say(console, f"report: {paths['html']}")
    if layout.best.exists():
        say(console, f"weights: {layout.best}")
    say(console, f"TensorBoard: tensorboard --logdir {layout.tensorboard}")
    if layout.shared:
        say(console, f"all of it also in {layout.shared}")


def exit_code(layout: RunLayout, console: Console, *, interrupted: bool) -> int:
    """Say why a search is not done; 0 if it is."""
    if interrupted:
        also = f" --storage {layout.shared.parent}" if layout.shared else ""
        say(console, f"interrupted; go on with --out {layout.root}{also} --resume")
        return INTERRUPTED
    searched = [record for record in read_search(layout.root).records if record.phase == "search"]
    if not any(record.state == "complete" for record in searched):
        reasons = {record.error for record in searched if record.error}
        say(console, "every trial failed: " + "; ".join(sorted(reasons)))
        return FAILED
    return 0


if __name__ == "__main__":
    run_command(search)
