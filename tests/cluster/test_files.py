"""Cluster files follow Ray's own schema, and name things that exist here."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def aws() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "cluster" / "aws.yaml").read_text())
    return config


def test_follows_rays_schema(aws: dict[str, Any]) -> None:
    validate_config(prepare_config(aws))


def test_head_stays_and_workers_scale_from_zero_on_spot(aws: dict[str, Any]) -> None:
    head, worker = aws["available_node_types"]["head"], aws["available_node_types"]["gpu_worker"]
    assert "InstanceMarketOptions" not in head["node_config"]
    assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert worker["min_workers"] == 0


def test_installs_this_checkout_with_the_tested_versions_and_keeps_the_dashboard_inside(aws: dict[str, Any]) -> None:
    assert any("constraints.txt" in command for command in aws["setup_commands"])
    assert any("--dashboard-host=127.0.0.1" in command for command in aws["head_start_ray_commands"])
    assert aws["file_mounts"]["/home/ubuntu/tdmr_ray"] == "."
    assert (ROOT / "constraints.txt").exists()
