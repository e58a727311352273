"""`python -m tdmr_ray.train`: one configuration, from a space file or a finished trial, by Ray Train or alone."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tdmr_ray.cli import run_command
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.output_dir import open_storage, prepare_output_dir
from tdmr_ray.records import Ledger, TrialRecord
from tdmr_ray.run_layout import METRICS, TrainLayout
from tdmr_ray.search import default_store
from tdmr_ray.space import Resources
from tdmr_ray.space.reading import parse_overrides, read_space
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.workers import Metrics


def train(
    space: Annotated[Path | None, typer.Option(help="Space file: its first pair with default values.")] = None,
    record: Annotated[str | None, typer.Option(help="A finished trial: DIR/records.jsonl:ID.")] = None,
    pins: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Ray Train workers; 0 replays in this process.")] = 1,
    min_workers: Annotated[int | None, typer.Option(min=1, help="Will do where machines are missing.")] = None,
    cpu: Annotated[int, typer.Option(min=1, help="Cores of each worker.")] = 1,
    gpu: Annotated[float, typer.Option(min=0, help="GPUs of each worker.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for weights and metrics.")] = Path("runs/train"),
    resume: Annotated[bool, typer.Option(help="Go on in --out after its last epoch.")] = False,
    store: Annotated[Path | None, typer.Option(help="Folder of teachers [$XDG_CACHE_HOME/tdmr_ray].")] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URI", help="StoragePath all machines reach, such as s3://bucket/prefix.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Of a running Ray.")] = None,
    verbose: Annotated[bool, typer.Option(help="Show what Ray says.")] = False,
) -> None:
    """Train one configuration and keep its weights."""
    overrides = parse_overrides(pins or [])
    if (space is None) == (record is None):
        raise InputError("train", "needs either --space FILE or --record FILE:ID")
    found = find_record(record) if record else None
    config = replace_values(found, overrides) if found else first_configuration(space or Path(), overrides)
    shared = open_storage(storage) if storage else None
    prepare_output_dir(out, resume=resume)
    teachers = Store((store or default_store()).expanduser().resolve(), shared / "teachers" if shared else None)
    console = Console()
    if workers == 0:
        metrics = replay(config, out, found, console)
    else:
        resources = Resources(cpu=cpu, gpu=gpu, workers=workers, min_workers=min_workers)
        place = shared / out.name if shared else StoragePath(out.resolve())
        metrics = _with_ray_train(config, resources, teachers, place, console, address=address, verbose=verbose)
        if shared:
            place.fetch(out)
    for name, value in metrics.items():
        console.print(f"{name:22s} {value:.6g}", highlight=False)
    console.print(f"weights and metrics: {out}", highlight=False)


def first_configuration(space: Path, overrides: dict[str, object]) -> TrialConfig:
    """The first pair of a space file, with default values of what is searched."""
    plan = read_space(space, overrides)
    return plan.config(plan.default_values(), *plan.all_pairs[0])


def find_record(text: str) -> TrialRecord:
    """The record that `FILE:ID` names.

    Raises:
        InputError: If there is none.
    """
    path, _, name = text.rpartition(":")
    records = {record.id: record for record in Ledger(Path(path)).read()}
    if name not in records:
        raise InputError("--record", f"no trial '{name}' in '{path}'{near_match(name, records)}")
    return records[name]


def replace_values(record: TrialRecord, overrides: dict[str, object]) -> TrialConfig:
    """A record's configuration with some values changed.

    Raises:
        InputError: If a key is unknown or a value not legal.
    """
    config = TrialConfig.model_validate(record.config)
    legal = config.flat()
    problems = [f"{key}: unknown parameter{near_match(key, legal)}" for key in overrides if key not in legal]
    if problems:
        raise InputError("--set", problems)
    try:
        return config.with_values(dict(overrides))
    except ValueError as error:
        raise InputError("--set", " ".join(str(error).split())) from error


def replay(config: TrialConfig, out: Path, record: TrialRecord | None, console: Console) -> Metrics:
    """Train in this process, without Ray; on a CPU a record's figures come out bit for bit."""
    import torch

    from tdmr_ray.data.task import load_task
    from tdmr_ray.models import save_target
    from tdmr_ray.training.fit import fit

    torch.set_num_threads(record.threads if record else 1)

    finalist = record is None or record.phase == "confirm"
    outcome = fit(config, load_task(config.data), partial(say_epoch, console), read_test=finalist)
    if outcome.target is not None:
        save_target(outcome.target, out)
    (out / METRICS).write_text(json.dumps(outcome.metrics, indent=1))
    return outcome.metrics


def say_epoch(console: Console, metrics: Metrics) -> None:
    """One line."""
    console.print(f"epoch {metrics['epoch']:.0f}: val/top1 {metrics['val/top1']:.4f}", highlight=False)


def _with_ray_train(
    config: TrialConfig,
    resources: Resources,
    store: Store,
    place: StoragePath,
    console: Console,
    *,
    address: str | None,
    verbose: bool,
) -> Metrics:
    from tdmr_ray.runner.cluster import check_fit, ray_session
    from tdmr_ray.runner.train_together import train_together
    from tdmr_ray.runner.weights import share_weights_of_trial

    layout = TrainLayout(place, scratch=store.local.parent)
    with ray_session(address, verbose=verbose):
        if address is None:
            check_fit(resources)
        copies = share_weights_of_trial(config, store)
        say = partial(say_epoch, console)
        return train_together(config, resources, store=store, layout=layout, on_progress=say, copies=copies)


if __name__ == "__main__":
    run_command(train)
