"""A search from a checked space to its records: images, costs, weights, Ray, trials. Prints nothing and never exits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import yaml
from rich.console import Console

from tdmr_ray.checksums import write_checked
from tdmr_ray.data.task import Task
from tdmr_ray.durations import pretty_seconds
from tdmr_ray.models.cost import Costs
from tdmr_ray.records import TrialRecord
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.cluster import check_fit, num_slots, ray_session
from tdmr_ray.runner.costs import target_costs, within_limits
from tdmr_ray.runner.environment import describe_environment
from tdmr_ray.runner.estimate import Forecast, forecast
from tdmr_ray.runner.gcs_watch import advised
from tdmr_ray.runner.gpu_sharing import with_gpu_share
from tdmr_ray.runner.interrupt import Interrupt
from tdmr_ray.runner.leases import LeaseTable
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.runner.mirror import mirrored
from tdmr_ray.runner.search import Search
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.runner.weights import WeightCopy, share_weights_of_space
from tdmr_ray.space import Space
from tdmr_ray.store import Store
from tdmr_ray.tuning.listener import Listener

OnMessage = Callable[[str], object]
"""Receives one plain line for the user."""


@dataclass(frozen=True)
class LaunchOptions:
    """Settings of a search that are not part of its space.

    Attributes:
        address: Address of a running Ray; None starts one on this machine.
        without_token: Whether to join a Ray that has no token.
        verbose: Whether to show Ray's own log.
        others: Trials of earlier searches; each pair begins with the best of them.
        listeners: Listeners that are notified of each start, epoch and end, after our own.
        console: Shows the live table; None shows none.
    """

    address: str | None = None
    without_token: bool = False
    verbose: bool = False
    others: Sequence[TrialRecord] = ()
    listeners: tuple[Listener, ...] = ()
    console: Console | None = None


@dataclass(frozen=True)
class SearchEnd:
    """How a search ended.

    Attributes:
        interrupted: Whether a signal ended it early; it can be resumed.
    """

    interrupted: bool


def open_tasks(store: Store) -> TaskCache:
    """Return an empty cache of tasks for the driver, which keeps decoded images in the store."""
    return TaskCache(SharedStore(store, LeaseTable()))


def launch_search(
    space: Space,
    layout: RunLayout,
    store: Store,
    *,
    tasks: TaskCache,
    interrupt: Interrupt,
    on_message: OnMessage,
    write_reports: Callable[[], object],
    options: LaunchOptions = LaunchOptions(),
) -> SearchEnd:
    """Run or resume a search, its confirmation, and `write_reports` while the results are still mirrored.

    Args:
        space: A checked space.
        layout: Files of the search; its root exists.
        store: Store of teachers, decoded images and weights.
        tasks: Decoded images; the caller may have opened the space's own with a progress bar.
        interrupt: Ends the trials in order.
        on_message: Receives notes, the announcement and warnings.
        write_reports: Writes the report over the records.
        options: Everything else.

    Raises:
        InputError: If no target satisfies the constraints, or a trial does not fit on this machine.
        SearchStopped: If Ray has died or the storage cannot be written.
        StopNow: If a signal has come that does not wait for the trials.
    """
    write_inputs(space, layout)
    with _num_threads(space.resources.cpu):
        task = tasks.get(space.data)
        space, costs = _affordable(space, task, layout, on_message)
        copies = share_weights_of_space(space, store)
        if copies:
            on_message(f"{len(copies)} networks' weights are in {store.shared} for every machine")
        with mirrored(layout, on_message):
            session = ray_session(options.address, verbose=options.verbose, without_token=options.without_token)
            with session, advised(options.address, interrupt.advice), interrupt.in_order():
                search = _search(space, layout, store, tasks, costs, copies, interrupt, on_message, options)
            end = SearchEnd(interrupted=interrupt.should_stop)
            write_reports()
            interrupt.all_is_written()
        search.reported(interrupted=end.interrupted)
        return end


def write_inputs(space: Space, layout: RunLayout) -> None:
    """Write the space, with everything that was pinned or changed, and the environment beside the results."""
    layout.space.write_text(space_text(space), encoding="utf-8")
    write_checked(layout.environment, describe_environment())


def space_text(space: Space) -> str:
    """Return the space as YAML without its defaults."""
    return str(yaml.safe_dump(space.model_dump(mode="json", exclude_defaults=True), sort_keys=False))


def announcement(space: Space, slots: int, expected: Forecast) -> str:
    """Describe in one line what will run and about how long it takes."""
    device = f"{space.resources.gpu_share:g} GPU" if space.resources.gpu_share else f"{space.resources.cpu} CPU"
    confirm, whole = space.confirm, expected.whole
    seeds, controls = len(confirm.seeds), len(confirm.controls)
    then = f", then the best {confirm.top} of each pair and {controls} rivals with {seeds} seeds"
    then += ", then again with the labels of val" if confirm.refit else ""
    budget = f"{space.budget.trials} trials of up to {space.budget.epochs} epochs"
    return (
        f"{space.name}: {len(space.all_pairs)} pairs, {budget}{then if confirm.top else ''}; "
        f"{slots} at a time on {device} each; about {pretty_seconds(whole.total)} "
        f"({pretty_seconds(whole.teachers)} of it for teachers)"
    )


def _affordable(space: Space, task: Task, layout: RunLayout, on_message: OnMessage) -> tuple[Space, Costs]:
    """Return the space without the targets that break a constraint, and the costs of all targets."""
    costs = target_costs(space, task, layout.targets)
    space, rejected = within_limits(space, costs)
    for line in rejected:
        on_message(line)
    return space, costs


def _search(
    space: Space,
    layout: RunLayout,
    store: Store,
    tasks: TaskCache,
    costs: Costs,
    copies: tuple[WeightCopy, ...],
    interrupt: Interrupt,
    on_message: OnMessage,
    options: LaunchOptions,
) -> Search:
    """Run all trials on the Ray that is connected."""
    joined = options.address is not None
    space = with_gpu_share(space, WorkerSettings.build(store, space.resources, copies))
    if not joined:
        check_fit(space.resources)
    elif layout.shared is None:
        on_message(f"every machine must see {layout.root} and {store.local}; if they do not, give --storage")
    slots = num_slots(space.resources, joined=joined)
    expected = forecast(space, tasks.get(space.data), slots)
    on_message(announcement(space, slots, expected))
    if expected.advice:
        on_message(expected.advice)
    on_message(f"results: {layout.root}")
    search = Search(
        space,
        layout,
        store,
        interrupt,
        tasks=tasks,
        on_message=on_message,
        console=options.console,
        slots=slots,
        costs=costs,
        copies=copies,
        others=options.others,
        listeners=options.listeners,
        reserve_s=expected.confirmation.total,
    )
    search.run()
    return search


@contextmanager
def _num_threads(count: int) -> Iterator[None]:
    """Give torch so many threads for the duration."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
