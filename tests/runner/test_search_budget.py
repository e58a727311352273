"""A search that its time limit ends."""

import json
from pathlib import Path

import pytest
from helpers.searching import run, write_space

from tdmr_ray.records import Ledger


@pytest.mark.slow
def test_a_time_limit_ends_the_search_with_a_confirmed_leaderboard(shared_store: Path, tmp_path: Path) -> None:
    confirm = {"top": 1, "seeds": [0], "controls": ["scratch"], "control_steps": 24}
    space = write_space(tmp_path, budget={"trials": 500, "epochs": 3, "time": "45s"}, confirm=confirm)
    arguments = ["--space", space, "--out", tmp_path / "out", "--store", shared_store]
    output = run("search", *arguments)
    assert "budget.time of 0:00:45 is used up" in output
    records = Ledger(tmp_path / "out/records.jsonl").read()
    states = {record.state for record in records if record.phase == "search"}
    assert "complete" in states
    assert "pruned" in states or "running" in states
    (board,) = json.loads((tmp_path / "out/leaderboard.json").read_text())["tables"]
    assert any(row["confirmed"] for row in board["rows"])
