"""The contract of every registry: which classes it must hold, and what each of them must offer."""

import inspect
import pkgutil
import re
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from torch import nn

from tdmr_ray.method.component import ParameterGroup

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


def check_config(config: type[BaseModel], key: str, kind: str) -> None:
    """Assert that a nested configuration is named by its registry key, and legal, frozen and strict by default."""
    default = config()
    assert config.__name__ == "Config"
    assert getattr(default, key) == kind
    assert config.model_validate({key: kind}) == default
    assert config.model_validate_json(default.model_dump_json()) == default
    assert config.model_config.get("frozen")
    assert config.model_config.get("extra") == "forbid"
    for name, field in config.model_fields.items():
        config.model_validate({name: field.get_default(call_default_factory=True)})


def check_problems(problems: Iterable[str], config: type[BaseModel]) -> None:
    """Assert that each problem begins with the name of a field and a colon."""
    for problem in problems:
        name, colon, rest = problem.partition(": ")
        assert name in config.model_fields
        assert colon
        assert rest


def check_groups(groups: list[ParameterGroup], module: nn.Module) -> None:
    """Assert that parameter groups hold every trained parameter of a module exactly once, and none is empty."""
    grouped = [id(parameter) for group in groups for parameter in group.parameters]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    assert all(group.parameters and group.lr > 0 and group.weight_decay >= 0 for group in groups)
