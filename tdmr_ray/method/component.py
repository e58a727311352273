"""Parts that all components of the method share: typed configuration, checks and parameter groups.

A component (prompt, mapping, logit loss, alignment, temperature schedule) is one class in one file. Its nested `Config`
holds its hyperparameters with their legal ranges, and one dict literal per concept maps kinds to classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from torch import nn

from tdmr_ray.plugins import FindProblem, Registry

REFUSED = "refused_plugin"
"""Type of the validation error about a plug-in that is refused."""


@dataclass(frozen=True)
class FoundationFacts:
    """Properties of a foundation that are known without its weights.

    Attributes:
        name: Label in messages and tables.
        image_px: Height and width of its input.
        num_source_classes: S; 0 for an image tower without a classifier.
        takes_tokens: Whether it is a plain transformer, to which a prompt may add tokens.
    """

    name: str
    image_px: int
    num_source_classes: int
    takes_tokens: bool


@dataclass(frozen=True)
class FoundationShape(FoundationFacts):
    """Properties of a loaded foundation, from which prompts and mappings are built.

    Attributes:
        feature_dim: d, the width of its pooled features.
        token_dim: Width of its tokens; 0 unless `takes_tokens`.
        member_dims: Widths of the members' features, which are joined to d; one number unless it is a committee.
    """

    feature_dim: int
    token_dim: int = 0
    member_dims: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Make it its own only member if none is given."""
        object.__setattr__(self, "member_dims", self.member_dims or (self.feature_dim,))


@dataclass(frozen=True)
class TaskFacts:
    """Properties of a task that components depend on.

    Attributes:
        num_classes: C, the number of task classes.
    """

    num_classes: int


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a peak learning rate and a weight decay."""

    parameters: list[nn.Parameter]
    lr: float
    weight_decay: float = 0.0


class ComponentConfig(BaseModel):
    """Hyperparameters of a component; immutable, and strict about unknown keys.

    Attributes:
        shapes_teacher: Whether a teacher depends on the component, so that it is part of the teacher's key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shapes_teacher: ClassVar[bool] = False

    def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
        """Return the problems with this foundation and task; each begins with the parameter's name and a colon."""
        return []


class OneOf:
    """Pydantic annotation for a field that holds the configuration of one registered component.

    The field is a tagged union of the registry's `Config` classes as they are when a value is first validated, so that
    plug-ins are not imported before; a mapping without the key gets the first kind.

    Args:
        registry: Component classes by kind.
        key: Name of the field that holds the kind.
    """

    def __init__(self, registry: Mapping[str, Any], key: str = "kind") -> None:
        self.registry, self.key = registry, key

    @property
    def refused(self) -> Mapping[str, str]:
        """Reasons why plug-ins are refused, by kind."""
        return self.registry.refused if isinstance(self.registry, Registry) else {}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a validator that builds the union when it is first called."""
        union = cache(lambda: TypeAdapter(Annotated[source, _Union(self.registry, self.key)]))

        def validate(value: Any) -> Any:
            return union().validate_python(self._with_kind(value))

        return core_schema.no_info_plain_validator_function(validate)

    def _with_kind(self, value: Any) -> Any:
        """Add the first kind to a mapping without one.

        Raises:
            PydanticCustomError: If its kind is that of a plug-in that is refused.
        """
        if not isinstance(value, dict):
            return value
        kind = value.get(self.key)
        if isinstance(kind, str) and kind not in self.registry and kind in self.refused:
            raise PydanticCustomError(REFUSED, "{reason}", {"reason": self.refused[kind]})
        return value if self.key in value else {self.key: next(iter(self.registry)), **value}


@dataclass(frozen=True)
class _Union:
    """Pydantic annotation: the tagged union of the configurations of a registry."""

    registry: Mapping[str, Any]
    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {kind: handler.generate_schema(component.Config) for kind, component in self.registry.items()}
        return core_schema.tagged_union_schema(choices, discriminator=self.key)


def component_problem(base: type[Any], key: str = "kind") -> FindProblem:
    """Return a check that a plug-in is a whole component: a subclass with a default configuration of its name."""

    def find(name: str, component: Any) -> str:
        if not (isinstance(component, type) and issubclass(component, base)):
            return f"must be a subclass of {base.__name__}, got {component!r}"
        missing = sorted(getattr(component, "__abstractmethods__", ()))
        if missing:
            return f"must define {', '.join(missing)}"
        kind = getattr(vars(component)["Config"](), key)
        return "" if kind == name else f"must have '{name}' as {key} in its Config, got '{kind}'"

    return find
