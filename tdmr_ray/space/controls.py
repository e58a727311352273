"""Controls in a space file: a name, or a mapping with the control's own settings."""

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from tdmr_ray.errors import near_match
from tdmr_ray.method.component import OneOf
from tdmr_ray.training.controls import CONTROLS, ControlConfig


def _from_file(entry: Any) -> Any:
    """Turn a name into a mapping.

    Raises:
        ValueError: If no control has this name.
    """
    tree = {"kind": entry} if isinstance(entry, str) else entry
    name = tree.get("kind") if isinstance(tree, dict) else None
    if isinstance(tree, dict) and name not in CONTROLS:
        raise ValueError(f"unknown control '{name}'{near_match(str(name), CONTROLS)}")
    return tree


def _to_file(config: ControlConfig) -> str | dict[str, Any]:
    """Return the name of a control with default settings, else a mapping."""
    changed = config.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    return {"kind": config.kind, **changed} if changed else config.kind


ControlEntry = Annotated[ControlConfig, OneOf(CONTROLS), BeforeValidator(_from_file), PlainSerializer(_to_file)]
