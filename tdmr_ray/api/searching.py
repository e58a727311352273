"""A search from Python: every pair of a space, its confirmation, and the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from tdmr_ray.api.changed_data import check_data
from tdmr_ray.api.class_balance import warn_of_imbalance
from tdmr_ray.api.inspecting import inspect_search
from tdmr_ray.api.results import SearchResult, result_of
from tdmr_ray.api.shipping import ship_models
from tdmr_ray.checksums import write_checked
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.decoded import save_task, saved_task_config, saved_task_key
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.output_dir import is_used, open_storage, open_store, opened_output_dir
from tdmr_ray.records import TrialRecord
from tdmr_ray.report.folder import compare, read_search
from tdmr_ray.report.write import write_reports
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.decoding_progress import open_images
from tdmr_ray.runner.interrupt import GRACE_S, Interrupt, interruptible
from tdmr_ray.runner.launch import LaunchOptions, launch_search, open_tasks
from tdmr_ray.runner.start_checks import check_machine
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.runner.weights import check_weights
from tdmr_ray.space import Space
from tdmr_ray.space.reading import read_space, space_from_dict
from tdmr_ray.store import Store
from tdmr_ray.tracking import build_trackers
from tdmr_ray.training.reliability import read_reliability
from tdmr_ray.training.workers import Metrics
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.trial_spec import TrialSpec

DEFAULT_OUT = Path("runs")
DEFAULT_STORE_GB = 20.0


@dataclass(frozen=True)
class TrialProgress:
    """Progress of a search: a trial has completed an epoch.

    Attributes:
        trial: Id of its record.
        phase: `search` or `confirm`.
        pair: Name of its pair.
        epoch: Epochs that it has completed.
        num_epochs: Epochs that it may run.
        metrics: Metrics of the epoch.
    """

    trial: str
    phase: str
    pair: str
    epoch: int
    num_epochs: int
    metrics: Metrics


class _ProgressListener(Listener):
    def __init__(self, on_progress: Callable[[TrialProgress], object]) -> None:
        self.on_progress = on_progress

    def epoch_ended(self, spec: TrialSpec, metrics: dict[str, float]) -> None:
        epoch, last = int(metrics["epoch"]), spec.config.num_epochs
        self.on_progress(TrialProgress(spec.id, spec.phase, spec.pair.name, epoch, last, metrics))


def run_search(
    space: str | Path | Mapping[str, Any] | Space,
    *,
    out: str | Path | None = None,
    task: Task | None = None,
    resume: bool = False,
    new_data: bool = False,
    overrides: Mapping[str, Any] | None = None,
    warm_start: Sequence[str | Path] = (),
    address: str | None = None,
    without_token: bool = False,
    store: str | Path | None = None,
    store_gb: float = DEFAULT_STORE_GB,
    storage: str | None = None,
    verbose: bool = False,
    grace_s: float = GRACE_S,
    on_message: Callable[[str], object] = lambda text: None,
    on_progress: Callable[[TrialProgress], object] | None = None,
    console: Console | None = None,
) -> SearchResult:
    """Search every pair of a space, confirm the best, and write the report.

    Args:
        space: A space file, its content, or a checked space.
        out: Output directory; `runs/NAME-TIME` by default.
        task: Images that replace the space's `data` section, such as `Task.from_arrays(...)`.
        resume: Whether to continue in `out`; finished trials are not run again.
        new_data: Whether `resume` accepts images that have changed: the earlier trials then do not count.
        overrides: Dotted keys and values that replace what a space file says.
        warm_start: Output directories of other searches, whose best configurations are tried first.
        address: Address of a running Ray; None starts one on this machine, which nobody else can use.
        without_token: Whether to join a Ray that has no token, so that whoever reaches it can run code there.
        store: Folder of teachers and decoded images; by default in the user's cache.
        store_gb: Size beyond which the least recently used ones are removed.
        storage: Location that all machines reach, such as `s3://bucket/prefix`.
        verbose: Whether to show Ray's own log.
        grace_s: Seconds that a signal leaves running trials to complete their epoch.
        on_message: Receives notes and warnings, one line each.
        on_progress: Receives the progress of every trial; left out once it raises.
        console: Shows a live table; None shows nothing.

    Raises:
        InputError: If anything that was given is wrong; nothing is started then.
        SearchStopped: If the search cannot continue for an outside reason.
        KeyboardInterrupt: If a signal does not wait for trials: before they start, a second Ctrl-C, after `grace_s`.
    """
    if new_data and not resume:
        raise InputError("--new-data", "goes with --resume; without it, every search begins anew")
    check_machine(joins=address is not None)
    own_store = partial(open_store, store, max_bytes=int(store_gb * 1e9))
    data = _saved_task(task, own_store()) if task else None
    plan = _checked_space(space, overrides or {}, data)
    others = [record for earlier in warm_start for record in _records_of(Path(earlier))]
    check_weights(plan)
    shared = open_storage(storage) if storage else None
    root = Path(out) if out else DEFAULT_OUT / f"{plan.name}-{datetime.now():%Y%m%d-%H%M%S}"
    results = shared / root.name if shared else None
    teachers = own_store(shared=shared)
    listeners = (*_listeners(on_progress), *build_trackers(plan.tracking))
    options = LaunchOptions(
        address, without_token, verbose=verbose, others=others, listeners=listeners, console=console
    )
    advice = partial(_how_to_go_on, root, storage)
    with (
        opened_output_dir(root, resume=resume, results=results),
        interruptible(grace_s, on_message, advice) as interrupt,
    ):
        layout = RunLayout(root.resolve(), results)
        Ledger(layout.records).read()
        interrupted = _launch(plan, layout, teachers, interrupt, on_message, options, new_data=new_data)
    return result_of(read_search(layout.root), layout.root, interrupted=interrupted)


def _launch(
    plan: Space,
    layout: RunLayout,
    store: Store,
    interrupt: Interrupt,
    on_message: Callable[[str], object],
    options: LaunchOptions,
    *,
    new_data: bool,
) -> bool:
    """Open the images and run the search; return whether it was interrupted."""
    tasks = open_tasks(store)
    task = open_images(plan, tasks, options.console)
    check_data(layout, task, new_data=new_data, on_message=on_message)
    imbalance = warn_of_imbalance(task, plan.objective.metric)
    summary = task.summary
    if summary:
        summary = summary.model_copy(update={"warnings": (*summary.warnings, *imbalance)})
        write_checked(layout.data_summary, summary.model_dump(mode="json"))
    for line in summary.lines() if summary else (*task.notes, *(f"warning: {text}" for text in imbalance)):
        on_message(line)
    report = partial(_write_results, layout, task, plan, tasks, store, on_message)
    launch = partial(launch_search, plan, layout, store, tasks=tasks, interrupt=interrupt, options=options)
    return launch(on_message=on_message, write_reports=report).interrupted


def _listeners(on_progress: Callable[[TrialProgress], object] | None) -> tuple[Listener, ...]:
    return (_ProgressListener(on_progress),) if on_progress else ()


def _how_to_go_on(root: Path, storage: str | None) -> str:
    """What to do after a search that was stopped at once."""
    if not is_used(root):
        return "stopped before anything was written; run the same command again"
    return f"stopped; {resume_advice(root, storage)}"


def resume_advice(root: Path, storage: str | None) -> str:
    """How to continue a search."""
    return f"continue with --out {root}{f' --storage {storage}' if storage else ''} --resume"


def _write_results(
    layout: RunLayout, task: Task, plan: Space, tasks: TaskCache, store: Store, on_message: Callable[[str], object]
) -> None:
    """Write the report, and copy the models that it recommends."""
    search = read_search(layout.root)
    comparisons = compare([search])
    board = comparisons[0].board
    ship_models(comparisons[0], layout, task)
    search.reliability[:] = read_reliability(layout.best)
    write_reports(comparisons, layout.root)
    try:
        inspect_search(board, comparisons[0].records, layout, plan.data, tasks, store)
    except (InputError, OSError, RuntimeError, ValueError) as error:  # the results are written and stay
        on_message(f"warning: the images were not inspected: {type(error).__name__}: {error}")
        return
    if layout.inspection.exists():
        write_reports(compare([read_search(layout.root)]), layout.root)


def _records_of(folder: Path) -> Sequence[TrialRecord]:
    records = read_search(folder).records
    if not records:
        raise InputError("--warm-start", f"there is no records.jsonl of a search in {folder}; give its --out")
    return records


def _checked_space(
    space: str | Path | Mapping[str, Any] | Space, overrides: Mapping[str, Any], images: DataConfig | None
) -> Space:
    """Return the checked space, with other images in place of its `data` section if they are given."""
    data = {"data": images.model_dump(mode="json")} if images else {}
    if isinstance(space, str | Path):
        return read_space(Path(space), {**data, **overrides})
    tree = space.model_dump(mode="json", exclude_defaults=True) if isinstance(space, Space) else dict(space)
    if overrides:
        raise InputError("run_search", "overrides change a space file; change the dictionary or space itself instead")
    return space_from_dict({**tree, **data})


def _saved_task(task: Task, store: Store) -> DataConfig:
    """Save a task in the store, where every worker finds it."""
    folder = store.add(saved_task_key(task), lambda draft: save_task(task, draft))
    return saved_task_config(folder)
