"""The table of all parameters of a trial, over every kind of every component."""

import pytest
from helpers.other_values import with_other_value, with_owner
from pydantic import ValidationError

from tdmr_ray.training.config import COMPONENTS, TrialConfig
from tdmr_ray.training.parameters import all_parameters

OWNED = [name for name, info in all_parameters().items() if info.selector]


def test_table_holds_the_parameters_of_every_kind_in_the_order_of_a_trial() -> None:
    names = list(all_parameters())
    for section, choice in COMPONENTS.items():
        for kind in choice.registry:
            config = TrialConfig().with_values({f"{section}.{choice.key}": kind})
            assert set(config.flat()) <= set(names)
    plain = [name for name in TrialConfig().flat() if name in names]
    assert plain == [name for name in names if name in plain] == list(TrialConfig().flat())


@pytest.mark.parametrize("name", all_parameters())
def test_default_is_the_value_of_a_trial_that_leaves_the_parameter_out(name: str) -> None:
    info = all_parameters()[name]
    assert with_owner(TrialConfig(), name).flat()[name] == info.default
    for kind, default in info.by_kind.items():
        assert TrialConfig().with_values({info.selector: kind}).flat()[name] == default


@pytest.mark.parametrize("name", all_parameters())
def test_parameter_can_be_set_to_another_value(name: str) -> None:
    start = with_owner(TrialConfig(), name)
    changed = with_other_value(start, name)
    assert changed.key() != start.key()


@pytest.mark.parametrize("name", OWNED)
def test_parameter_is_legal_exactly_for_the_kinds_that_own_it(name: str) -> None:
    info = all_parameters()[name]
    for kind in COMPONENTS[name.partition(".")[0]].registry:
        assert info.is_owned(kind) is (kind in info.by_kind)
        values = {info.selector: kind, name: info.default}
        if info.is_owned(kind):
            assert TrialConfig().with_values(values).flat()[name] == info.default
        else:
            with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
                TrialConfig().with_values(values)


def test_parameter_outside_components_belongs_to_every_kind() -> None:
    info = all_parameters()["distill.lr"]
    assert (info.selector, dict(info.by_kind)) == ("", {})
    assert info.is_owned("anything")


def test_parameters_by_hand() -> None:
    assert all_parameters()["mapping.smoothing"].by_kind == {"bayesian": 1.0, "bayesian_plus": 1.0}
    assert all_parameters()["mapping.smoothing"].selector == "mapping.kind"
    assert all_parameters()["prompt.lr"].by_kind == {"border": 0.1, "overlay": 0.1, "masked": 0.1, "tokens": 0.01}
    assert all_parameters()["temperature.end"].selector == "temperature.schedule"
    assert "end" not in TrialConfig().model_dump()["temperature"]
