"""Images of one's own, with their summary."""

from collections.abc import Mapping, Sequence
from typing import Any

from tdmr_ray.api.teaching import load_task
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.space.reading import parse_overrides, put


def load_own_images(source: str, options: Mapping[str, Any]) -> tuple[Task, DataSummary]:
    """Load images that are not built in.

    Args:
        source: A source of `data.name`.
        options: Other keys of the `data` section.

    Raises:
        InputError: If `load_task` raises it, or the source is built in.
    """
    task = load_task(source, **options)
    if task.summary is None:
        raise InputError("data", f"'{source}' is built in; give a folder, csv:FILE or another source of your own")
    return task, task.summary


def data_options(pins: Sequence[str]) -> dict[str, Any]:
    """Parse `KEY=VALUE` strings into a `data` section; keys may be dotted, and may begin with `data.`.

    Raises:
        InputError: If a string has no '=', or a value is not YAML.
    """
    options: dict[str, Any] = {}
    for key, value in parse_overrides(pins).items():
        put(options, key.removeprefix("data."), value)
    return options
