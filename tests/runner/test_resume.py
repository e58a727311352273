"""A search that is killed again and again gives the records of an undisturbed one."""

import contextlib
import os
import random
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from helpers.resuming import CHANGES, ended, kill, leaderboard, progress, reproducible_rows, start, wait_for_a_moment
from helpers.searching import command, run, write_space
from helpers.waiting import PATIENCE_S, wait_until

from tdmr_ray.ledger import Ledger

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("num_kills", "trials"), [(2, 4), pytest.param(5, 9, marks=pytest.mark.stress)])
def test_a_search_killed_at_random_moments_gives_the_same_records_when_resumed(
    num_kills: int, trials: int, tmp_path: Path
) -> None:
    chance = random.Random(4)
    space = write_space(tmp_path, **{**CHANGES, "budget": {"trials": trials, "epochs": 8}})
    run("search", "--space", space, "--out", tmp_path / "whole", "--store", tmp_path / "store_whole")
    folder = tmp_path / "killed"
    ledger = folder / "records.jsonl"
    arguments: list[object] = ["--space", space, "--out", folder, "--store", tmp_path / "store_killed"]
    before: dict[str, int] = {}
    for number in range(num_kills):
        used = folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir())
        process = start([*arguments, "--resume"] if used else arguments)
        wait_for_a_moment(process, folder, chance.uniform(0.5, 8) if number % 5 == 0 else None, chance.uniform(0, 1.5))
        assert process.poll() is None, f"ended with {process.returncode} after {number} kills: make the search longer"
        kill(process)
        now = progress(folder)
        over = ended(ledger)
        assert set(over.values()) <= {1}, "a finished trial was run again"
        assert all(now.get(name, 99 if name in over else 0) >= epochs for name, epochs in before.items())
        before = now
    run("search", *arguments, "--resume")
    assert set(ended(ledger).values()) == {1}
    searched = [record for record in Ledger(ledger).read() if record.phase == "search"]
    assert len(searched) == trials
    assert reproducible_rows(ledger) == reproducible_rows(tmp_path / "whole/records.jsonl")
    assert leaderboard(folder) == leaderboard(tmp_path / "whole")


@pytest.mark.stress
@pytest.mark.parametrize("victim", ["raylet", "gcs_server"])
def test_a_search_whose_ray_is_killed_can_be_resumed(victim: str, tmp_path: Path) -> None:
    space = write_space(tmp_path, **{**CHANGES, "budget": {"trials": 2, "epochs": 80}, "confirm": {"top": 0}})
    folder = tmp_path / "out"
    arguments: list[object] = ["--space", space, "--out", folder, "--store", tmp_path / "store"]
    process = start(arguments)
    wait_for_a_moment(process, folder, None, 0.5)
    (part,) = [each for each in psutil.Process(process.pid).children(recursive=True) if each.name() == victim]
    part.kill()
    assert process.wait(timeout=PATIENCE_S) != 0
    run("search", *arguments, "--resume")
    records = Ledger(folder / "records.jsonl").read()
    assert len(records) == 2
    assert {record.state for record in records} <= {"complete", "pruned"}


def test_two_searches_in_one_folder_are_refused(tmp_path: Path) -> None:
    space = write_space(tmp_path, **CHANGES)
    folder = tmp_path / "out"
    arguments: list[object] = ["--space", space, "--out", folder, "--store", tmp_path / "store"]
    process = start(arguments)
    wait_for_a_moment(process, folder, None, 0.0)
    second = subprocess.run(
        command("search", *arguments, "--resume"), capture_output=True, text=True, timeout=PATIENCE_S
    )
    kill(process)
    assert second.returncode == 2
    assert f"is in use by process {process.pid} on " in second.stderr
    assert "Traceback" not in second.stderr


def actor_of(driver: int) -> psutil.Process | None:
    """The process of a search that runs trials, one at a time."""
    for child in psutil.Process(driver).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "TrialActor" in "".join(child.cmdline()):
                return child
    return None


def test_a_trial_whose_process_is_killed_continues_in_another(shared_store: Path, tmp_path: Path) -> None:
    one = {"cpu": 1, "concurrent": 1}
    space = write_space(tmp_path, budget={"trials": 3, "epochs": 30}, confirm={"top": 0}, resources=one)
    arguments = ["--space", space, "--out", tmp_path / "out", "--store", shared_store]
    with subprocess.Popen(command("search", *arguments), stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: list((tmp_path / "out").glob("checkpoints/*.pt")), "a checkpoint", process)
        victim = actor_of(process.pid)
        assert victim is not None
        victim.kill()
        output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    assert "it goes on in another process" in output
    records = Ledger(tmp_path / "out/records.jsonl").read()
    assert len(records) == 3
    assert {record.state for record in records} <= {"complete", "pruned"}
    assert sum(record.restarts for record in records) == 1
    assert not list((tmp_path / "out/checkpoints").iterdir())


def test_ctrl_c_keeps_finished_trials_and_resume_continues(shared_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    space = write_space(tmp_path, budget={"trials": 8, "epochs": 6}, confirm={"top": 0})
    arguments = ["--space", space, "--out", folder, "--store", shared_store]
    process = subprocess.Popen(
        command("search", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    ledger = folder / "records.jsonl"
    wait_until(lambda: ledger.exists() and ledger.read_text().count("\n") >= 4, "four lines of the ledger", process)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, output
    assert "--resume" in output
    before = Ledger(ledger).read()
    assert 1 <= len(before) < 8
    assert (folder / "leaderboard.md").exists()
    run("search", *arguments, "--resume")
    after = Ledger(ledger).read()
    assert [record.id for record in after][: len(before)] == [record.id for record in before]
    assert [record for record in after if record in before] == [r for r in before if r.state != "running"]
    assert len({record.id for record in after}) == len(after) == 8
    assert {record.state for record in after} <= {"complete", "pruned"}


def test_only_trials_inside_a_narrowed_space_are_confirmed(shared_store: Path, tmp_path: Path) -> None:
    pair = {"pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]}}
    confirm = {"top": 1, "seeds": [0], "controls": [], "steps": 20, "refit": False}
    lr = {"distill.lr": {"choices": [1e-5, 1e-2]}}
    arguments: list[object] = ["--out", tmp_path / "out", "--store", shared_store, "--set", "resources.concurrent=1"]
    budget = {"trials": 2, "epochs": 3}
    run("search", "--space", write_space(tmp_path, **pair, search=lr, confirm={"top": 0}, budget=budget), *arguments)
    narrow = {"distill.lr": {"choices": [1e-5, 2e-5]}}
    space = write_space(tmp_path, **pair, search=narrow, confirm=confirm, budget=budget)
    output = run("search", "--space", space, *arguments, "--resume")
    assert "1 earlier trials are outside the space and do not count" in output
    records = Ledger(tmp_path / "out/records.jsonl").read()
    assert [record.phase for record in records] == ["search", "search", "search", "confirm"]
    assert [record.outside for record in records] == [record.config["distill"]["lr"] == 1e-2 for record in records]
    assert records[-1].config["distill"]["lr"] in narrow["distill.lr"]["choices"]
