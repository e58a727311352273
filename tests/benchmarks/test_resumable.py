"""Runs that are kept one by one, and found again under older configuration names."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.older_names import OLDER_PATHS, in_first_edition
from benchmarks.resumable import read_runs, run_missing
from benchmarks.what_matters import plan, with_todays_names


class Fake:
    """A job with nothing but a name."""

    def __init__(self, name: str) -> None:
        self.key = name

    def __str__(self) -> str:
        return self.key


def run_fake(job: Fake) -> dict[str, Any]:
    if job.key == "bad":
        raise ValueError("nothing")
    return {"val_top1": 0.5}


@pytest.mark.slow
def test_finished_runs_are_kept_when_another_run_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"key": "old", "test_top1": 0.1}\n{"key": "torn", "te')
    rows = run_missing([Fake("old"), Fake("bad"), Fake("new")], run_fake, path, workers=1)
    assert [each["key"] for each in rows] == ["old", "new"]
    assert [each["key"] for each in read_runs(path)] == ["old", "new"]
    assert "FAILED, ValueError: nothing" in capsys.readouterr().out


def test_older_names_are_those_of_the_first_edition() -> None:
    values = {"loss.kind": "dkd", "outputs.view_averaging": 0.5, "distill.lr": 0.01, "prompt.lr": 0.1}
    expected = {"distill.loss": "dkd", "signals.consensus": 0.5, "distill.lr": 0.01, "reprogram.prompt_lr": 0.1}
    assert in_first_edition(values) == expected


def test_no_name_is_translated_twice() -> None:
    today = {path for _, renames in OLDER_PATHS for path in renames}
    older = {path for _, renames in OLDER_PATHS for path in renames.values()}
    assert not today & older


def test_recorded_settings_get_the_names_they_have_today() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "what_matters.jsonl"
    recorded = {row["key"]: row for row in read_runs(path)}
    jobs = plan("script", [0])
    rows = with_todays_names(jobs, [recorded[job.key] for job in jobs])
    named = {(row["factor"], row["label"]): row["val_top1"] for row in rows}
    assert named["view averaging", "1"] == next(
        row["val_top1"]
        for row in recorded.values()
        if (row["task"], row["factor"], row["label"], row["seed"]) == ("script", "consensus", "1", 0)
    )
