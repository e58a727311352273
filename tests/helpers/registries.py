"""Which classes a registry must hold, and how they are documented."""

import inspect
import pkgutil
import re
from importlib import import_module
from types import ModuleType
from typing import Any

SOURCE_OR_FORMULA = re.compile(r"Source: .+\d|\b[\w*]+ = \S")


def component_classes(package: ModuleType, base: type[Any]) -> set[type[Any]]:
    """Return the classes below `base` in a package's files that have a `Config` of their own."""
    defined = set()
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        members = inspect.getmembers(import_module(info.name), inspect.isclass)
        defined |= {member for _, member in members if member.__module__ == info.name and issubclass(member, base)}
    return {member for member in defined if "Config" in vars(member)}


def documentation_of(component: type[Any]) -> str:
    """Return the docstrings of a class and of the public functions in its file, which it may refer to."""
    module = inspect.getmodule(component)
    functions = inspect.getmembers(module, inspect.isfunction)
    own = [member for name, member in functions if member.__module__ == component.__module__ and name[0] != "_"]
    return "\n".join(inspect.getdoc(member) or "" for member in [component, *own])
