"""The contracts of `tdmr_ray.testing` for everything that a registry holds."""

from collections.abc import Mapping
from typing import Any

import pytest


def contract_of(registry: Mapping[str, type[Any]], *settings: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Run a contract with the default configuration of every component, and with those settings that it has."""
    cases = {}
    for kind, component in registry.items():
        fields = component.Config.model_fields
        for values in ({}, *settings):
            own = {name: value for name, value in values.items() if name in fields}
            cases[f"{kind} {own or 'default'}"] = (component, component.Config(**own))
    return pytest.mark.parametrize(("component", "config"), cases.values(), ids=cases)
