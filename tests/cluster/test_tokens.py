"""Joining a Ray that somebody else has started, with and without a token."""

import subprocess
from pathlib import Path

import pytest
from helpers.searching import command, write_space
from ray.cluster_utils import Cluster


@pytest.mark.slow
def test_a_cluster_without_a_token_is_joined_on_request_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        space = write_space(tmp_path, budget={"trials": 1, "epochs": 3}, confirm={"top": 0})
        arguments = command("search", "--space", space, "--address", cluster.address, "--out", tmp_path / "out")
        refused = subprocess.run(arguments, capture_output=True, text=True)
        assert refused.returncode == 2
        assert "asks for no token" in refused.stderr
        accepted = subprocess.run([*arguments, "--without-token"], capture_output=True, text=True)
        assert accepted.returncode == 0, accepted.stderr
    finally:
        cluster.shutdown()
