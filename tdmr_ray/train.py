"""`tdmr train`: one configuration, from a space file or a finished trial, by Ray Train or in this process."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError
from tdmr_ray.terminal import say


def train(
    space: Annotated[Path | None, typer.Option(help="Space file: its first pair with default values.")] = None,
    record: Annotated[str | None, typer.Option(help="A finished trial: DIR/records.jsonl:ID.")] = None,
    pins: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Ray Train workers; 0 replays in this process.")] = 1,
    min_workers: Annotated[int | None, typer.Option(min=1, help="Fewest workers, where machines are missing.")] = None,
    cpu: Annotated[int, typer.Option(min=1, help="Cores of each worker.")] = 1,
    gpu: Annotated[float, typer.Option(min=0, help="GPUs of each worker.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for weights and metrics.")] = Path("runs/train"),
    resume: Annotated[bool, typer.Option(help="Continue in --out after its last epoch.")] = False,
    store: Annotated[Path | None, typer.Option(help="Folder of teachers [$XDG_CACHE_HOME/tdmr_ray].")] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URI", help="Location that all machines reach, such as s3://bucket/prefix.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray.")] = None,
    without_token: Annotated[
        bool, typer.Option(help="With --address: join a Ray without a token; whoever reaches it can run code there.")
    ] = False,
    verbose: Annotated[bool, typer.Option(help="Show Ray's log.")] = False,
) -> None:
    """Train one configuration and keep its weights."""
    from tdmr_ray import single_trial
    from tdmr_ray.output_dir import open_storage, open_store, opened_output_dir
    from tdmr_ray.runner.interrupt import interruptible
    from tdmr_ray.runner.start_checks import check_machine
    from tdmr_ray.space import Resources
    from tdmr_ray.space.reading import parse_overrides
    from tdmr_ray.storage import StoragePath

    overrides, console = parse_overrides(pins or []), Console()
    if (space is None) == (record is None):
        raise InputError("train", "needs either --space FILE or --record FILE:ID")
    found = single_trial.find_record(record) if record else None
    if found is not None:
        config = single_trial.replace_values(found, overrides)
    else:
        config = single_trial.first_configuration(space or Path(), overrides)
    if workers:
        check_machine(joins=address is not None)
    objective = f"val/{config.objective}"
    shared = open_storage(storage) if storage else None

    def show_epoch(metrics: dict[str, float]) -> None:
        shown = f": {objective} {metrics[objective]:.4f}" if objective in metrics else ""  # a refit has no val
        say(console, f"epoch {metrics['epoch']:.0f}{shown}")

    def train_in_out() -> dict[str, float]:
        if workers == 0:
            return single_trial.replay(config, out, found, show_epoch)
        resources = Resources(cpu=cpu, gpu=gpu, workers=workers, min_workers=min_workers)
        teachers = open_store(store, shared=shared)
        results = shared / out.name if shared else StoragePath(out.resolve())
        metrics = single_trial.train_with_ray(
            config,
            resources,
            teachers,
            results,
            show_epoch,
            address=address,
            without_token=without_token,
            verbose=verbose,
        )
        if shared:
            results.fetch(out)
        return metrics

    with opened_output_dir(out, resume=resume), interruptible(advice=lambda: _how_to_go_on(out, workers)):
        metrics = train_in_out()
    for name, value in metrics.items():
        say(console, f"{name:22s} {value:.6g}")
    say(console, f"weights and metrics: {out}")


def _how_to_go_on(out: Path, workers: int) -> str:
    """What to do after a signal; a training in this process keeps no checkpoints."""
    from tdmr_ray.output_dir import is_used

    again = workers == 0 or not is_used(out)
    return "stopped; run the same command again" if again else f"stopped; add --resume and --out {out} to continue"


if __name__ == "__main__":
    run_command(train)
