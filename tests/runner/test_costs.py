"""Costs of targets: measured once, and used to leave out targets before anything is trained."""

import re
from pathlib import Path

import pytest
from helpers.searching import run, write_space

from tdmr_ray.checksums import write_checked
from tdmr_ray.data.loading import load_task
from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.models.cost import read_costs
from tdmr_ray.runner.costs import target_costs, within_limits
from tdmr_ray.space import Space
from tdmr_ray.space.reading import check_tree

COSTS = {
    "lcnet_035": {"params": 4e5, "macs": 1e6, "latency_ms": 1.0, "latency_p95_ms": 1.1},
    "lcnet_050": {"params": 7e5, "macs": 2e6, "latency_ms": 2.0, "latency_p95_ms": 2.2},
}


def build(*constraints: str) -> Space:
    tree = {
        "name": "test",
        "data": {"name": "digits", "shots": 5},
        "pairs": {"foundations": ["glyph_cnn"], "targets": list(COSTS)},
        "objective": {"minimize": "latency_ms", "constraints": list(constraints)},
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    return space


@pytest.mark.parametrize(
    ("constraints", "kept"),
    [
        ([], ["lcnet_035", "lcnet_050"]),
        (["latency_ms <= 2"], ["lcnet_035", "lcnet_050"]),
        (["latency_ms <= 1.9"], ["lcnet_035"]),
        (["latency_ms<=5", "params <= 5e5"], ["lcnet_035"]),
    ],
)
def test_targets_that_break_a_constraint_are_left_out(constraints: list[str], kept: list[str]) -> None:
    space, rejected = within_limits(build(*constraints), COSTS)
    assert list(space.pairs.by_name) == kept
    assert len(rejected) == 2 - len(kept)
    assert all(line.startswith("lcnet_050 is left out: ") and " > " in line for line in rejected)


def test_a_target_must_keep_the_limits_with_each_size_of_image(tmp_path: Path) -> None:
    tree = {
        "name": "test",
        "data": {"name": "digits", "shots": 5},
        "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
        "objective": {"constraints": ["macs <= 1e6"]},
        "search": {"target.input_px": {"choices": [32, 64]}},
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    costs = target_costs(space, load_task(space.data), tmp_path / "targets.json")
    assert list(costs) == ["lcnet_035@32px", "lcnet_035@64px"]
    assert 3 < costs["lcnet_035@64px"]["macs"] / costs["lcnet_035@32px"]["macs"] < 4.1
    assert costs["lcnet_035@64px"]["params"] == costs["lcnet_035@32px"]["params"]
    with pytest.raises(InputError, match="lcnet_035@64px is left out: macs"):
        within_limits(space, costs)


def test_an_error_gives_every_reason_when_no_target_is_left() -> None:
    with pytest.raises(InputError, match="no target is left; raise a limit") as raised:
        within_limits(build("macs <= 1e5"), COSTS)
    assert len(raised.value.problems) == 3


def test_costs_are_measured_once(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    write_checked(path, {"lcnet_050": COSTS["lcnet_050"]})
    costs = target_costs(build(), load_task(build().data), path)
    assert costs["lcnet_050"] == COSTS["lcnet_050"]
    assert costs["lcnet_035"].keys() == COSTS["lcnet_035"].keys()
    assert 1e5 < costs["lcnet_035"]["params"] < 1e6
    assert read_costs(path) == costs


@pytest.mark.slow
def test_a_target_that_costs_too_much_is_left_out_before_training(shared_store: Path, tmp_path: Path) -> None:
    objective = {"metric": "val/top1", "minimize": "latency_ms", "constraints": ["params <= 5e5"]}
    space = write_space(tmp_path, objective=objective, budget={"trials": 2, "epochs": 3}, confirm={"top": 0})
    output = run("search", "--space", space, "--out", tmp_path / "out", "--store", shared_store)
    assert re.search(r"mobilenetv3_small_050 is left out: params [\d.e+]+ > 5e\+05", output)
    records = Ledger(tmp_path / "out/records.jsonl").read()
    assert {record.pair.target for record in records} == {"lcnet_035"}
