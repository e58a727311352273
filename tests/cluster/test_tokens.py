"""Joining a Ray that somebody else has started, with and without a token."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.searching import command, write_space
from ray.cluster_utils import Cluster

from tdmr_ray.runner.private_ray import ray_environment


@pytest.fixture
def open_cluster() -> Iterator[Cluster]:
    """A Ray that asks for no token."""
    with ray_environment({"RAY_AUTH_MODE": "disabled"}):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        yield cluster
        cluster.shutdown()


@pytest.mark.slow
def test_a_cluster_without_a_token_is_joined_on_request_only(open_cluster: Cluster, tmp_path: Path) -> None:
    space = write_space(tmp_path, budget={"trials": 1, "epochs": 3}, confirm={"top": 0})
    arguments = command("search", "--space", space, "--address", open_cluster.address, "--out", tmp_path / "out")
    refused = subprocess.run(arguments, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "asks for no token" in refused.stderr
    accepted = subprocess.run([*arguments, "--without-token"], capture_output=True, text=True)
    assert accepted.returncode == 0, accepted.stderr
