"""All parameters of a trial by dotted name, over every kind of every component."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tdmr_ray.training.config import COMPONENTS, TrialConfig


@dataclass(frozen=True)
class ParameterInfo:
    """A parameter of a trial.

    Attributes:
        default: Its default value; for a component's own parameter that of the first kind that owns it.
        selector: Name of the parameter that chooses the kind of its component; '' if it belongs to no single kind.
        by_kind: Default for each kind that owns it; empty if it belongs to no single kind.
    """

    default: Any
    selector: str = ""
    by_kind: Mapping[str, Any] = field(default_factory=dict)

    def is_owned(self, kind: Any) -> bool:
        """Whether a component of this kind has the parameter."""
        return not self.selector or kind in self.by_kind


@cache
def all_parameters() -> dict[str, ParameterInfo]:
    """Return every legal parameter name, in the order of `TrialConfig`."""
    found: dict[str, ParameterInfo] = {}
    for name, value in TrialConfig().flat().items():
        section = name.partition(".")[0]
        if section not in COMPONENTS:
            found[name] = ParameterInfo(value)
        elif name == f"{section}.{COMPONENTS[section].key}":
            found[name] = ParameterInfo(value)
            found |= _own_parameters(section, name)
    return found


def _own_parameters(section: str, selector: str) -> dict[str, ParameterInfo]:
    defaults: dict[str, dict[str, Any]] = {}
    choice = COMPONENTS[section]
    for kind, component in choice.registry.items():
        for name, value in component.Config().model_dump(mode="json").items():
            if name != choice.key:
                defaults.setdefault(f"{section}.{name}", {})[kind] = value
    return {name: ParameterInfo(next(iter(by_kind.values())), selector, by_kind) for name, by_kind in defaults.items()}
