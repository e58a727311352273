"""Names under `tracking`: the listeners of plug-ins, and the trackers whose packages are optional."""

from collections.abc import Iterable
from importlib.util import find_spec

from tdmr_ray.errors import near_match
from tdmr_ray.plugins import Registry

TRACKERS = ("mlflow", "wandb")
"""Built-in trackers; each is also the name of the module that it needs and of the extra that installs it."""


def _listener_problem(name: str, found: object) -> str:
    return "" if isinstance(found, type) else f"must be a class, got {found!r}"


LISTENERS: Registry[type] = Registry("tdmr_ray.listeners", {}, _listener_problem, reserved=TRACKERS)
"""The listeners of plug-ins."""


def check_tracking(names: Iterable[str]) -> list[str]:
    """Return the problems with the names of listeners."""
    names = list(names)
    problems = [f"'{name}' must not come twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    for name in dict.fromkeys(names):
        if name in LISTENERS.refused:
            problems.append(LISTENERS.refused[name])
        elif name in TRACKERS and find_spec(name) is None:
            problems.append(f"'{name}' needs a package that is missing; pip install 'tdmr_ray[{name}]'")
        elif name not in (*TRACKERS, *LISTENERS):
            problems.append(f"unknown listener '{name}'{near_match(name, (*TRACKERS, *LISTENERS))}")
    return problems
