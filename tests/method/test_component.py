"""Tagged component configurations: default kind, unknown kinds, JSON, pickles, and classes registered at run time."""

import pickle
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from tdmr_ray.method.component import ComponentConfig, FoundationShape, OneOf, ParameterGroup, TaskFacts
from tdmr_ray.method.prompts import PROMPTS, MaskedPrompt, Prompt, PromptConfig
from tdmr_ray.method.resize import resize
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.parameters import all_parameters


class Plain:
    """A component without hyperparameters."""

    class Config(ComponentConfig):
        """Hyperparameters of a plain component: none."""

        kind: Literal["plain"] = "plain"


class Wide:
    """A component with a width."""

    class Config(ComponentConfig):
        """Hyperparameters of a wide component."""

        kind: Literal["wide"] = "wide"
        width: int = Field(default=3, ge=1)


class Holder(BaseModel):
    """A configuration with one component; two kinds are registered."""

    part: Annotated[ComponentConfig, OneOf({"plain": Plain, "wide": Wide})] = Plain.Config()


def test_mapping_without_a_kind_gets_the_first_kind() -> None:
    assert Holder.model_validate({"part": {}}).part == Plain.Config()
    assert Holder.model_validate({}).part == Plain.Config()


def test_kind_chooses_the_class_and_its_ranges() -> None:
    assert Holder.model_validate({"part": {"kind": "wide", "width": 7}}).part == Wide.Config(width=7)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Holder.model_validate({"part": {"kind": "wide", "width": 0}})


def test_unknown_kind_is_refused_with_the_known_kinds() -> None:
    with pytest.raises(ValidationError, match=r"'narrow'.*'plain', 'wide'"):
        Holder.model_validate({"part": {"kind": "narrow"}})


def test_hyperparameter_of_another_kind_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Holder.model_validate({"part": {"kind": "plain", "width": 7}})


def test_config_object_is_accepted_as_it_is() -> None:
    config = Wide.Config(width=7)
    assert Holder(part=config).part == config


def test_json_holds_every_hyperparameter_of_the_kind_and_restores_it() -> None:
    holder = Holder(part=Wide.Config(width=7))
    assert holder.model_dump(mode="json") == {"part": {"kind": "wide", "width": 7}}
    assert Holder.model_validate_json(holder.model_dump_json()) == holder


def test_trial_with_components_survives_a_pickle() -> None:
    values = {"prompt.kind": "masked", "prompt.patch_px": 8, "temperature.schedule": "learned", "loss.kind": "dkd"}
    config = TrialConfig().with_values(values)
    again = pickle.loads(pickle.dumps(config))
    assert again == config
    assert isinstance(again.prompt, MaskedPrompt.Config)
    assert again.key() == config.key()


def test_another_key_may_hold_the_kind() -> None:
    config = TrialConfig.model_validate({"temperature": {"schedule": "linear", "end": 2.0}})
    assert config.temperature.schedule == "linear"
    with pytest.raises(ValidationError):
        TrialConfig.model_validate({"temperature": {"kind": "linear"}})


class TintedPrompt(Prompt):
    """One learned colour that is added to every pixel: out = clamp(resize(x) + colour, 0, 1)."""

    class Config(PromptConfig):
        """Hyperparameters of a tinted prompt."""

        kind: Literal["tinted"] = "tinted"
        strength: float = Field(default=0.25, ge=0)
        lr: float = Field(default=0.5, gt=0)

    def __init__(self, config: Config, foundation: FoundationShape) -> None:
        super().__init__(config, foundation)
        self.lr, self.colour = config.lr, torch.nn.Parameter(torch.full((3, 1, 1), config.strength))

    def forward(self, images: Tensor) -> Tensor:
        """Tint images."""
        return (resize(images, self.image_px) + self.colour).clamp(0, 1)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the colour."""
        return [ParameterGroup([self.colour], self.lr)]


@pytest.fixture
def _tinted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the prompt for one test."""
    with monkeypatch.context() as patch:
        patch.setitem(PROMPTS, "tinted", TintedPrompt)
        _rebuild()
        yield
    _rebuild()


def _rebuild() -> None:
    TrialConfig.model_rebuild(force=True)
    all_parameters.cache_clear()


@pytest.mark.usefixtures("_tinted")
def test_class_that_is_registered_at_run_time_is_configured_like_any_other() -> None:
    values: dict[str, Any] = {"prompt.kind": "tinted", "prompt.strength": 0.5}
    config = TrialConfig().with_values(values)
    assert config.prompt == TintedPrompt.Config(strength=0.5)
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config
    info = all_parameters()["prompt.strength"]
    assert (info.default, info.selector, dict(info.by_kind)) == (0.25, "prompt.kind", {"tinted": 0.25})
    assert all_parameters()["prompt.lr"].by_kind["tinted"] == 0.5
    with pytest.raises(ValidationError):
        TrialConfig().with_values({**values, "prompt.strength": -1.0})


def test_class_that_is_no_longer_registered_is_unknown_again() -> None:
    assert "prompt.strength" not in all_parameters()
    with pytest.raises(ValidationError, match="tinted"):
        TrialConfig().with_values({"prompt.kind": "tinted"})


def test_default_check_finds_no_problem() -> None:
    assert Plain.Config().check(FoundationShape("tiny", 8, 0, False, 4), TaskFacts(2)) == []
