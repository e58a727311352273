"""Processes that train together do what one process does: the same samples, losses and teacher outputs."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.waiting import run_together

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("together.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Results of one process alone, and of each of two."""
    folder = tmp_path_factory.mktemp("together")
    for count in (1, 2):
        run_together([[sys.executable, str(SCRIPT), str(rank), str(count), str(folder)] for rank in range(count)])
    return {path.stem: torch.load(path) for path in folder.glob("*.pt")}


def test_losses_of_reprogramming_agree_over_the_first_steps(results: dict[str, dict[str, Any]]) -> None:
    alone, first = results["0-of-1"], results["0-of-2"]
    assert len(alone["losses"]) == 20
    assert alone["losses"][-1] < 0.7 * alone["losses"][0]
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    assert first["val"] == pytest.approx(alone["val"], abs=0.01)


def test_all_workers_have_the_same_artifact_and_target(results: dict[str, dict[str, Any]]) -> None:
    first, second = results["0-of-2"], results["1-of-2"]
    assert first["losses"] == second["losses"]
    assert torch.equal(first["logits"], second["logits"])
    assert first["epochs"] == second["epochs"]
    assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())


def test_teacher_outputs_are_those_of_one_process(results: dict[str, dict[str, Any]]) -> None:
    alone, first = results["0-of-1"]["logits"], results["0-of-2"]["logits"]
    assert first.shape == alone.shape
    assert (first - alone).abs().max() < 0.05 * alone.std()
