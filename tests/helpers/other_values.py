"""Legal values of trial parameters that differ from those of a configuration."""

from functools import reduce
from typing import Any, get_args

from pydantic import ValidationError

from tdmr_ray.training.config import COMPONENTS, TrialConfig
from tdmr_ray.training.metrics import METRICS
from tdmr_ray.training.parameters import all_parameters

NEEDED = {"data.fold": {"data.folds": 3}}
"""Values without which a parameter has only one legal value."""


def with_owner(config: TrialConfig, name: str) -> TrialConfig:
    """Return a configuration that can have other values of a parameter: of the first kind that owns it."""
    config = config.with_values(NEEDED.get(name, {}))
    info = all_parameters()[name]
    section = name.partition(".")[0]
    if not info.selector or config.flat()[info.selector] in info.by_kind:
        return config
    assert section in COMPONENTS
    return config.with_values({info.selector: next(iter(info.by_kind))})


def with_other_value(config: TrialConfig, name: str) -> TrialConfig:
    """Return a configuration in which one parameter has another legal value, and nothing else has."""
    value = config.flat()[name]
    for candidate in _candidates(config, name, value):
        try:
            changed = config.with_values({name: candidate})
        except ValidationError:
            continue
        if changed.flat()[name] != value:
            return changed
    raise AssertionError(f"no other legal value of {name} was found")


def _candidates(config: TrialConfig, name: str, value: Any) -> list[Any]:
    if name == "objective":
        return [*METRICS]
    if name == "foundation.members":
        return [[{"name": "glyph_cnn"}, {"name": "glyph_vit"}]]
    section, _, leaf = name.rpartition(".")
    if section in COMPONENTS and leaf == COMPONENTS[section].key:
        return [*COMPONENTS[section].registry]
    holder = reduce(getattr, filter(None, section.split(".")), config)
    choices = get_args(type(holder).model_fields[leaf].annotation)
    literals = [choice for choice in choices if not isinstance(choice, type)]
    if literals:
        return literals
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1, value + 2, value / 2, 0.5]
    return ["other", 16, 0.5, True]
