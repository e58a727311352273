"""Plug-ins: what installed packages add to the built-in components, data sources and listeners.

A package names its plug-ins by entry points, one group for each kind, such as `tdmr_ray.prompts`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from tdmr_ray.errors import InputError

T = TypeVar("T")
FindProblem = Callable[[str, Any], str]
"""Returns what is wrong with an object for its name, after 'it'; '' if nothing is."""


@dataclass(frozen=True)
class Plugins(Generic[T]):
    """The plug-ins of one kind that are installed.

    Attributes:
        loaded: Objects by name.
        refused: Reasons by name: it cannot be loaded, or its name is not its own.
    """

    loaded: Mapping[str, T]
    refused: Mapping[str, str]


def no_problem(name: str, found: Any) -> str:
    """Accept everything."""
    return ""


class Registry(MutableMapping[str, T]):
    """Built-in objects of one kind by name, and those of plug-ins.

    Plug-ins are imported once, as soon as a name is needed that is not built in, or all names are.

    Args:
        group: Group of entry points.
        builtin: Built-in objects by name; the first one is the default.
        find_problem: Checks an object that a plug-in gives.
        reserved: Further names that no plug-in may have.

    Raises:
        InputError: On access to the name of a plug-in that is refused.
    """

    def __init__(
        self,
        group: str,
        builtin: Mapping[str, T],
        find_problem: FindProblem = no_problem,
        reserved: Collection[str] = (),
    ) -> None:
        self.group, self.find_problem = group, find_problem
        self._own, self._reserved = dict(builtin), frozenset({*builtin, *reserved})

    @cached_property
    def _plugins(self) -> Plugins[T]:
        return find_plugins(self.group, self._reserved, self.find_problem)

    @property
    def refused(self) -> Mapping[str, str]:
        """Reasons why plug-ins are refused, by name."""
        return self._plugins.refused

    def __getitem__(self, name: str) -> T:
        if name in self._own:
            return self._own[name]
        if name in self._plugins.refused:
            raise InputError("plug-ins", self._plugins.refused[name])
        return self._plugins.loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._plugins.loaded

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (name for name in self._plugins.loaded if name not in self._own)

    def __len__(self) -> int:
        return len({*self._own, *self._plugins.loaded})

    def __setitem__(self, name: str, value: T) -> None:
        self._own[name] = value

    def __delitem__(self, name: str) -> None:
        del self._own[name]


def find_plugins(group: str, reserved: Collection[str], find_problem: FindProblem) -> Plugins[Any]:
    """Load the plug-ins of a group; one that cannot be loaded, or has a name in `reserved`, is refused."""
    by_name: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        by_name.setdefault(point.name, []).append(point)
    loaded, refused = {}, {}
    for name, points in sorted(by_name.items()):
        if name in reserved:
            refused[name] = f"'{name}' is built in, and a plug-in of {_origins(points)} has the same name; uninstall it"
        elif len(points) > 1:
            refused[name] = f"several plug-ins are called '{name}': {_origins(points)}; uninstall all but one"
        else:
            found, reason = _load(points[0], find_problem)
            if reason:
                refused[name] = f"the plug-in '{name}' of {_origins(points)} {reason}; mend or uninstall it"
            else:
                loaded[name] = found
    return Plugins(loaded, refused)


def _origins(points: list[EntryPoint]) -> str:
    """Name the distributions of entry points, and what the entry points refer to."""
    return ", ".join(f"{p.dist.name} {p.dist.version} ({p.value})" if p.dist else p.value for p in points)


def _load(point: EntryPoint, find_problem: FindProblem) -> tuple[Any, str]:
    """Return the object of an entry point, and why it is of no use."""
    try:
        found = point.load()
        problem = find_problem(point.name, found)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an import runs whatever is in the file
        return None, f"cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}"
    return found, problem
