"""A search that its time limit ends."""

import json
from functools import partial
from pathlib import Path

import pytest
from helpers.searching import write_space

from tdmr_ray.api import TrialProgress, run_search
from tdmr_ray.ledger import Ledger
from tdmr_ray.runner import search
from tdmr_ray.tuning.budget import Meter


@pytest.mark.slow
def test_a_time_limit_ends_the_search_with_a_confirmed_leaderboard(
    shared_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[TrialProgress] = []
    monkeypatch.setattr(search, "Meter", partial(Meter, clock=lambda: 5.0 * len(epochs)))  # 5 s an epoch on any machine
    confirm = {"top": 1, "seeds": [0], "controls": ["scratch"], "steps": 24}
    space = write_space(tmp_path, budget={"trials": 500, "epochs": 3, "time": "45s"}, confirm=confirm)
    messages: list[str] = []
    run_search(space, out=tmp_path / "out", store=shared_store, on_message=messages.append, on_progress=epochs.append)
    assert any("budget.time of 0:00:45 is used up" in message for message in messages)
    records = Ledger(tmp_path / "out/records.jsonl").read()
    states = {record.state for record in records if record.phase == "search"}
    assert "complete" in states
    assert "pruned" in states or "running" in states
    (board,) = json.loads((tmp_path / "out/leaderboard.json").read_text())["tables"]
    assert any(row["confirmed"] for row in board["rows"])
