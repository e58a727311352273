"""Decoding of a search's images, with a progress bar at a terminal."""

from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.task import Task
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.space import Space


def open_images(space: Space, tasks: TaskCache, console: Console | None) -> Task:
    """Open the images of a space; a bar on the console shows how many are decoded."""
    if console is None:
        return tasks.get(space.data)
    columns = (TextColumn("decoding images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(load_dataset(space.data).labels))
        return tasks.get(space.data, on_progress=partial(progress.advance, bar))
