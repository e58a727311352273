"""The contract of every component, over the five registries of the method."""

from types import ModuleType
from typing import Any

import pytest
from helpers.registries import SOURCE_OR_FORMULA, check_config, check_problems, component_classes, documentation_of
from pydantic import ValidationError

from tdmr_ray.method import alignments, losses, mappings, prompts, schedules
from tdmr_ray.method.component import FoundationFacts, TaskFacts

REGISTRIES: dict[str, tuple[ModuleType, type[Any], dict[str, type[Any]], str]] = {
    "prompts": (prompts, prompts.Prompt, prompts.PROMPTS, "kind"),
    "mappings": (mappings, mappings.Mapping, mappings.MAPPINGS, "kind"),
    "losses": (losses, losses.LogitLoss, losses.LOSSES, "kind"),
    "alignments": (alignments, alignments.Alignment, alignments.ALIGNMENTS, "kind"),
    "schedules": (schedules, schedules.Schedule, schedules.SCHEDULES, "schedule"),
}
COMPONENTS = [(name, kind) for name, (_, _, registry, _) in REGISTRIES.items() for kind in registry]

SMALL_TASK, LARGE_TASK = TaskFacts(2), TaskFacts(100)
ROOMY = FoundationFacts("roomy", 224, 1000, takes_tokens=True)
CRAMPED = FoundationFacts("cramped", 8, 0, takes_tokens=False)


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
    check_config(component.Config, key, kind)


@pytest.mark.parametrize(("name", "kind"), COMPONENTS)
def test_component_documents_a_formula_or_a_source(name: str, kind: str) -> None:
    component = REGISTRIES[name][2][kind]
    assert component.__doc__
    assert SOURCE_OR_FORMULA.search(documentation_of(component))
    assert component.Config.__doc__


@pytest.mark.parametrize(("name", "kind"), COMPONENTS)
def test_config_refuses_other_kinds_and_unknown_keys(name: str, kind: str) -> None:
    _, _, registry, key = REGISTRIES[name]
    for illegal in ({key: "other"}, {"nothing": 1}):
        with pytest.raises(ValidationError):
            registry[kind].Config.model_validate(illegal)


@pytest.mark.parametrize(("name", "kind"), COMPONENTS)
def test_default_config_fits_a_large_transformer_and_a_large_task(name: str, kind: str) -> None:
    assert REGISTRIES[name][2][kind].Config().check(ROOMY, LARGE_TASK) == []


@pytest.mark.parametrize("task", [SMALL_TASK, LARGE_TASK], ids=str)
@pytest.mark.parametrize("foundation", [ROOMY, CRAMPED], ids=lambda facts: facts.name)
@pytest.mark.parametrize(("name", "kind"), COMPONENTS)
def test_problems_begin_with_a_field_and_a_colon(
    name: str, kind: str, foundation: FoundationFacts, task: TaskFacts
) -> None:
    config = REGISTRIES[name][2][kind].Config
    extreme = {"size_px": 1000, "standardize": True}
    fitting = {field: value for field, value in extreme.items() if field in config.model_fields}
    check_problems(config(**fitting).check(foundation, task), config)


@pytest.mark.parametrize("name", REGISTRIES)
def test_only_prompts_and_mappings_shape_a_teacher(name: str) -> None:
    shaping = {component.Config.shapes_teacher for component in REGISTRIES[name][2].values()}
    assert shaping == {name in ("prompts", "mappings")}
