"""Workers that train together have the gradient of one process, whatever the loss and however labels are spread."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.waiting import run_together
from torch import Tensor

from tdmr_ray.method.alignments import ALIGNMENTS
from tdmr_ray.method.losses import LOSSES

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("gradients_together.py")
GROUPED = [(rank, count) for count in (2, 4) for rank in range(count)]
CASES = ["labels", "labels, balanced", *LOSSES, *(f"{kind}, standardized" for kind in LOSSES), *ALIGNMENTS]
CASES.append("cka, debiased")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], dict[str, Any]]:
    """Results by rank and number of workers."""
    folder = tmp_path_factory.mktemp("gradients")
    run_together([[sys.executable, str(SCRIPT), str(rank), str(folder)] for rank in range(4)])
    return {(rank, count): torch.load(folder / f"{rank}-of-{count}.pt") for rank, count in [(0, 1), *GROUPED]}


@pytest.mark.parametrize("case", CASES)
def test_gradients_and_terms_are_those_of_one_process(
    results: dict[tuple[int, int], dict[str, Any]], case: str
) -> None:
    alone = results[0, 1]["cases"][case]
    assert sum(float(gradient.abs().sum()) for gradient in alone["gradients"].values()) > 0.01
    for place in GROUPED:
        found = results[place]["cases"][case]
        assert_close(found["gradients"], alone["gradients"])
        assert_close(found["terms"], alone["terms"])


@pytest.mark.parametrize("place", GROUPED, ids=str)
def test_whole_epochs_are_those_of_one_process(
    results: dict[tuple[int, int], dict[str, Any]], place: tuple[int, int]
) -> None:
    """A transformer, since batch norm sees only a worker's own images."""
    alone, found = results[0, 1]["distil"], results[place]["distil"]
    for own, expected in zip(found["epochs"], alone["epochs"], strict=True):
        assert own == pytest.approx(expected, rel=1e-3, abs=1e-4)
    first = results[0, place[1]]["distil"]
    assert all(torch.equal(value, first["weights"][name]) for name, value in found["weights"].items())


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6, msg=lambda text, name=name: name + text)
