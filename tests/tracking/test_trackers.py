"""MLflow with a real server, and W&B offline: the same figures as the ledger."""

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from helpers.mlflow_server import REST, dictionary, fetch, history, mlflow_server, runs_of
from helpers.waiting import PATIENCE_S
from helpers.wandb_files import OfflineRun, offline_runs

from tdmr_ray.ledger import Ledger
from tdmr_ray.records import TrialRecord
from tdmr_ray.runner.guard import Guard, GuardedListener
from tdmr_ray.storage import StoragePath
from tdmr_ray.testing import ListenerContract
from tdmr_ray.testing.listeners import metrics_of, record_of
from tdmr_ray.tracking import build_trackers
from tdmr_ray.tracking.values import as_text, parameters_of
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.trial_spec import build_spec

pytest.importorskip("mlflow")
pytest.importorskip("wandb")
pytestmark = pytest.mark.slow

SPACE = {
    "name": "tracked",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "budget": {"trials": 2, "epochs": 2},
    "confirm": {"top": 1, "seeds": [0], "controls": ["majority"], "steps": 10, "refit": True},
    "search": {"mapping.kind": {"choices": ["frequency", "linear"]}},
    "fixed": {"outputs.num_views": 2, "reprogram.epochs": 1},
    "tracking": ["mlflow", "wandb"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", address)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        yield address


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
            patch.setenv(name, str(folder))
        yield


@dataclass(frozen=True)
class Done:
    """A search that has ended: its output directory, its trials, and what it has said."""

    out: Path
    records: list[TrialRecord]
    said: str


@pytest.fixture(scope="module")
def search(server: str, offline: None, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("search")
    (folder / "space.yaml").write_text(yaml.safe_dump(SPACE))
    files = ["--space", folder / "space.yaml", "--out", folder / "out", "--store", folder / "store"]
    command = [sys.executable, "-m", "tdmr_ray.search", *map(str, files)]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return Done(folder / "out", Ledger(folder / "out" / "records.jsonl").read(), done.stdout + done.stderr)


def test_no_tracker_fails_or_writes_to_the_terminal(search: Done) -> None:
    assert "left out" not in search.said
    assert "wandb" not in search.said.lower() and "mlflow" not in search.said.lower()


def test_mlflow_has_the_figures_of_the_ledger(search: Done, server: str) -> None:
    runs = {run["info"]["run_name"]: run for run in runs_of(server, "tracked")}
    assert set(runs) == {"tracked", *(record.id for record in search.records)}
    assert {record.phase for record in search.records} == {"search", "confirm", "refit"}
    parent = runs["tracked"]["info"]["run_id"]
    assert json.loads((search.out / "tracking.json").read_text())["mlflow"] == parent
    for record in search.records:
        run = runs[record.id]
        tags = dictionary(run["data"]["tags"])
        expected = {"trial": record.id, "pair": record.pair.name, "state": "complete", "mlflow.parentRunId": parent}
        assert tags.items() >= {**expected, "phase": record.phase, "role": record.role}.items()
        assert run["info"]["status"] == "FINISHED"
        parameters = {name: as_text(value) for name, value in parameters_of(record).items()}
        assert dictionary(run["data"]["params"]) == parameters
        final = dictionary(run["data"]["metrics"])
        assert {name: float(value) for name, value in final.items() if name != "curve"} == record.metrics
        run_id = run["info"]["run_id"]
        assert history(server, run_id, "curve") == list(enumerate(record.curve, start=1))
        epochs = [step for step, _ in history(server, run_id, "epoch")]
        assert epochs == list(range(1, int(record.metrics["epoch"]) + 1))
        if "val/top1" in record.metrics:
            scores = [value for _, value in history(server, run_id, "val/top1")]
            assert len(scores) == len(epochs) and scores[-1] == record.metrics["val/top1"]


def test_mlflow_has_the_report_and_the_models(search: Done, server: str) -> None:
    (parent,) = (run["info"] for run in runs_of(server, "tracked") if run["info"]["run_name"] == "tracked")
    assert parent["status"] == "FINISHED"
    listed = json.loads(fetch(server, f"{REST}/artifacts/list", run_id=parent["run_id"]))["files"]
    reports = {f"leaderboard.{suffix}" for suffix in ("html", "md", "csv", "json")}
    assert {file["path"] for file in listed} == {*reports, "records.jsonl", "space.yaml", "best"}
    place = f"/api/2.0/mlflow-artifacts/artifacts/{parent['experiment_id']}/{parent['run_id']}/artifacts"
    weights = [path for path in (search.out / "best").rglob("*") if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in weights)
    for path in [*(search.out / name for name in reports), *weights]:
        assert fetch(server, f"{place}/{path.relative_to(search.out).as_posix()}") == path.read_bytes()


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def test_wandb_has_the_figures_of_the_ledger(search: Done) -> None:
    runs = offline_runs(search.out)
    assert set(runs) == {"tracked", *(record.id for record in search.records)}
    assert {run.group for run in runs.values()} == {json.loads((search.out / "tracking.json").read_text())["wandb"]}
    for record in search.records:
        run: OfflineRun = runs[record.id]
        parameters = {name: run.config[name] for name in parameters_of(record)}
        assert parameters == json.loads(json.dumps(parameters_of(record)))
        assert (run.config["pair"], run.config["trial"]) == (record.pair.name, record.id)
        assert all(same(run.summary[name], value) for name, value in record.metrics.items())
        assert run.summary["state"] == "complete"
        curve = [run.history[step]["curve"] for step in sorted(run.history) if "curve" in run.history[step]]
        assert curve == record.curve
        assert [run.history[step]["epoch"] for step in sorted(run.history)] == sorted(run.history)
    reports = {f"leaderboard.{suffix}" for suffix in ("html", "md", "csv", "json")}
    best = {path.relative_to(search.out).as_posix() for path in (search.out / "best").rglob("*") if path.is_file()}
    assert runs["tracked"].files == {*reports, *best, "records.jsonl", "space.yaml"}


class TestContract(ListenerContract):
    @pytest.fixture(params=["mlflow", "wandb"])
    def fresh(self, request: pytest.FixtureRequest, server: str, offline: None) -> Listener:
        (listener,) = build_trackers([request.param])
        return listener


def test_a_resumed_search_continues_its_runs_in_mlflow(server: str, tmp_path: Path) -> None:
    done, running, missed = (build_spec(TrialConfig(seed=seed), phase="search") for seed in (0, 1, 2))
    first, second = (build_trackers(["mlflow"])[0] for _ in range(2))
    first.search_begun(SearchInfo("resumed", tmp_path, "val/top1", {"name": "resumed"}))
    for spec in (done, running):
        first.started(spec)
        first.epoch_ended(spec, metrics_of(1))
    first.ended(done, record_of(done, 1, "complete"))
    first.search_reported(interrupted=True)
    assert {run["info"]["status"] for run in runs_of(server, "resumed")} == {"FINISHED", "KILLED"}
    before = (record_of(done, 1, "complete"), record_of(running, 1, "running"), record_of(missed, 2, "pruned"))
    second.search_begun(SearchInfo("resumed", tmp_path, "val/top1", {"name": "resumed"}, before))
    second.started(running)
    for epoch in (1, 2):
        second.epoch_ended(running, metrics_of(epoch))
    second.ended(running, record_of(running, 2, "complete"))
    second.search_reported(interrupted=False)
    runs = {run["info"]["run_name"]: run["info"] for run in runs_of(server, "resumed")}
    assert len(runs_of(server, "resumed")) == len(runs) == 4
    statuses = {done.id: "FINISHED", running.id: "FINISHED", missed.id: "KILLED", "resumed": "FINISHED"}
    assert {name: info["status"] for name, info in runs.items()} == statuses
    for spec in (running, missed):
        assert history(server, runs[spec.id]["run_id"], "curve") == [(1, 0.25), (2, 0.5)]
    assert history(server, runs[running.id]["run_id"], "train/loss") == [(1, 2.0), (2, 1.0)]


def test_an_absent_server_is_reported_once(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", closed)
    said: list[str] = []
    (tracker,) = build_trackers(["mlflow"])
    guarded = GuardedListener(tracker, Guard("MLflow", said.append, StoragePath(tmp_path / "listener.txt")))
    guarded.search_begun(SearchInfo("away", tmp_path, "val/top1", {}))
    guarded.search_reported(interrupted=False)
    (message,) = said
    assert message.startswith("MLflow failed and is left out: MlflowException: ")
    assert closed.removeprefix("http://127.0.0.1:") in message


def test_wandb_without_credentials_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from pathlib import Path\n"
        "from tdmr_ray.tracking.wandb import WandbTracker\n"
        "from tdmr_ray.tuning.listener import SearchInfo\n"
        "WandbTracker().search_begun(SearchInfo('a', Path('.'), 'val/top1', {}))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "RuntimeError: it has no credentials; run `wandb login`, or set WANDB_API_KEY or " in done.stderr
