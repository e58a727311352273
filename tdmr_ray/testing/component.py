"""What the contracts of all components share."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from pydantic import BaseModel, ValidationError
from torch import nn

from tdmr_ray.method.component import (
    ComponentConfig,
    FoundationFacts,
    FoundationShape,
    ParameterGroup,
    TaskFacts,
    component_problem,
)

TASK = TaskFacts(num_classes=3)
SMALL_TASK, LARGE_TASK = TaskFacts(2), TaskFacts(100)
ROOMY = FoundationFacts("roomy", 224, 1000, takes_tokens=True)
CRAMPED = FoundationFacts("cramped", 8, 0, takes_tokens=False)


def contract(component: type[Any], *settings: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Decorate a subclass of a contract, so that its tests run for a component with each of these hyperparameters."""
    cases = [
        pytest.param(component, component.Config(**values), id=f"{component.__name__}-{number}")
        for number, values in enumerate(settings or ({},))
    ]
    return pytest.mark.parametrize(("component", "config"), cases)


class ComponentContract:
    """Contract of every component's configuration.

    Attributes:
        base: Base class of the components.
        key: Field of their configurations that holds the kind.
        shapes_teacher: Whether a teacher depends on them.
    """

    base: type[Any]
    key = "kind"
    shapes_teacher = False

    @pytest.fixture(autouse=True)
    def _fixed_seed(self) -> None:
        torch.manual_seed(0)

    def test_default_configuration_is_legal_frozen_and_strict(
        self, component: type[Any], config: ComponentConfig
    ) -> None:
        kind = getattr(config, self.key)
        assert component_problem(self.base, self.key)(kind, component) == ""
        check_config(component.Config, self.key, kind)
        assert type(config).model_validate_json(config.model_dump_json()) == config
        assert config.shapes_teacher is self.shapes_teacher

    def test_other_kinds_and_unknown_keys_are_refused(self, component: type[Any], config: ComponentConfig) -> None:
        for illegal in ({self.key: "other"}, {"nothing": 1}):
            with pytest.raises(ValidationError):
                component.Config.model_validate(illegal)

    def test_default_configuration_fits_a_large_transformer_and_a_large_task(
        self, component: type[Any], config: ComponentConfig
    ) -> None:
        assert component.Config().check(ROOMY, LARGE_TASK) == []

    @pytest.mark.parametrize("task", [SMALL_TASK, LARGE_TASK], ids=str)
    @pytest.mark.parametrize("foundation", [ROOMY, CRAMPED], ids=lambda facts: facts.name)
    def test_problems_begin_with_a_field_and_a_colon(
        self, component: type[Any], config: ComponentConfig, foundation: FoundationFacts, task: TaskFacts
    ) -> None:
        check_problems(config.check(foundation, task), type(config))


def foundation_shape(
    *, image_px: int = 16, num_source_classes: int = 5, feature_dim: int = 6, token_dim: int = 3
) -> FoundationShape:
    """Return the shape of a tiny foundation; it takes tokens unless `token_dim` is 0."""
    return FoundationShape("tiny", image_px, num_source_classes, token_dim > 0, feature_dim, token_dim)


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
