"""What holds for the five registries of the method; each component keeps the contract of `tdmr_ray.testing`."""

from types import ModuleType
from typing import Any

import pytest
from helpers.registries import SOURCE_OR_FORMULA, component_classes, documentation_of

from tdmr_ray.method import alignments, losses, mappings, prompts, schedules
from tdmr_ray.plugins import Registry

REGISTRIES: dict[str, tuple[ModuleType, type[Any], Registry[type[Any]], str]] = {
    "prompts": (prompts, prompts.Prompt, prompts.PROMPTS, "kind"),
    "mappings": (mappings, mappings.Mapping, mappings.MAPPINGS, "kind"),
    "losses": (losses, losses.LogitLoss, losses.LOSSES, "kind"),
    "alignments": (alignments, alignments.Alignment, alignments.ALIGNMENTS, "kind"),
    "schedules": (schedules, schedules.Schedule, schedules.SCHEDULES, "schedule"),
}
COMPONENTS = [(name, kind) for name, (_, _, registry, _) in REGISTRIES.items() for kind in registry]


@pytest.mark.parametrize("name", REGISTRIES)
def test_registry_holds_every_class_of_its_package(name: str) -> None:
    package, base, registry, _ = REGISTRIES[name]
    assert set(registry.values()) == component_classes(package, base)
    assert len(set(registry.values())) == len(registry)


@pytest.mark.parametrize(("name", "kind"), COMPONENTS)
def test_component_lives_alone_in_a_file_with_its_own_config(name: str, kind: str) -> None:
    package, _, registry, key = REGISTRIES[name]
    component = registry[kind]
    assert component.__module__ == f"{package.__name__}.{kind}"
    assert "Config" in vars(component)
    assert getattr(component.Config(), key) == kind


@pytest.mark.parametrize(("name", "kind"), COMPONENTS)
def test_component_documents_a_formula_or_a_source(name: str, kind: str) -> None:
    component = REGISTRIES[name][2][kind]
    assert component.__doc__
    assert SOURCE_OR_FORMULA.search(documentation_of(component))
    assert component.Config.__doc__


@pytest.mark.parametrize("name", REGISTRIES)
def test_only_prompts_and_mappings_shape_a_teacher(name: str) -> None:
    shaping = {component.Config.shapes_teacher for component in REGISTRIES[name][2].values()}
    assert shaping == {name in ("prompts", "mappings")}
