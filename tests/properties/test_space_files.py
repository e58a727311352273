"""Any space file is a space, or one message about it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.refusals import result_of
from hypothesis import given
from hypothesis import strategies as st

from tdmr_ray.space.reading import parse_overrides, read_space, space_from_dict
from tdmr_ray.space.space import Space as SpaceModel
from tdmr_ray.training.parameters import all_parameters

GOOD: dict[str, Any] = {
    "name": "made",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "budget": {"trials": 4, "epochs": 3},
    "search": {"prompt.size_px": {"low": 0, "high": 4, "step": 2}},
}
NAMES = st.sampled_from([*SpaceModel.model_fields, *all_parameters(), "low", "high", "choices", "when", "kind"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["1e-3", "auto"])
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=3)
)


@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_any_sections_beside_good_ones(tree: dict[str, Any]) -> None:
    result_of(lambda: space_from_dict({**GOOD, **tree}))


@given(st.sampled_from(sorted(all_parameters())), TREES, st.sampled_from(["search", "fixed"]))
def test_any_value_of_any_parameter(name: str, value: Any, section: str) -> None:
    result_of(lambda: space_from_dict({**GOOD, section: {name: value}}))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    assert result_of(lambda: read_space(path)) is None


@given(st.lists(st.text(max_size=30), max_size=3))
def test_any_overrides(texts: list[str]) -> None:
    assert isinstance(result_of(lambda: parse_overrides(texts)), dict | None)


@given(
    low=st.floats(1e-6, 1.0),
    factor=st.floats(1.0, 1e3),
    trials=st.integers(1, 99),
    choices=st.sets(st.integers(1, 8), min_size=1),
)
def test_a_space_that_is_written_and_read_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, low: float, factor: float, trials: int, choices: set[int]
) -> None:
    search = {
        "distill.lr": {"low": low, "high": low * factor, "log": True},
        "distill.batch_size": {"choices": [8 * each for each in choices]},
    }
    space = space_from_dict({**GOOD, "budget": {"trials": trials, "epochs": 3}, "search": search})
    path: Path = tmp_path_factory.getbasetemp() / "same.yaml"
    path.write_text(yaml.safe_dump(space.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    assert read_space(path) == space
