"""A real MLflow server on loopback, and its REST interface."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from helpers.waiting import wait_until

REST = "/api/2.0/mlflow"


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run `mlflow server` with a SQLite store, and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--backend-store-uri", f"sqlite:///{folder}/store.db", "--artifacts-destination", str(folder / "files")]
    listen = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--gunicorn-opts", "--no-control-socket"]
    scripts = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *place, *listen],
            env={**os.environ, "PATH": scripts, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address) or process.poll() is not None, "the MLflow server answers")
        assert process.poll() is None, (folder / "server.log").read_text()
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def fetch(address: str, path: str, **query: Any) -> bytes:
    """Return the body of an answer to GET."""
    with urlopen(f"{address}{path}?{urlencode(query)}", timeout=60) as answer:
        return bytes(answer.read())


def runs_of(address: str, experiment: str) -> list[dict[str, Any]]:
    """Return all runs of an experiment, by its name, newest first."""
    found = json.loads(fetch(address, f"{REST}/experiments/get-by-name", experiment_name=experiment))
    body = json.dumps({"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 1000}).encode()
    request = Request(f"{address}{REST}/runs/search", body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        runs: list[dict[str, Any]] = json.loads(answer.read())["runs"]
    return runs


def dictionary(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return pairs of key and value as a dictionary."""
    return {pair["key"]: pair["value"] for pair in pairs}


def history(address: str, run: str, metric: str) -> list[tuple[int, float]]:
    """Return steps and values of a metric."""
    answer = json.loads(fetch(address, f"{REST}/metrics/get-history", run_id=run, metric_key=metric, max_results=1000))
    return [(int(point.get("step", 0)), float(point["value"])) for point in answer.get("metrics", [])]
