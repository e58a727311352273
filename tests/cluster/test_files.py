"""Cluster files: they follow Ray's schema and refer to files of this project."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cfnlint.api
import kubernetes_validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def aws() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "cluster" / "aws.yaml").read_text())
    return config


@pytest.mark.parametrize("name", ["aws", "local"])
def test_a_cluster_file_follows_rays_schema(name: str) -> None:
    validate_config(prepare_config(yaml.safe_load((ROOT / "cluster" / f"{name}.yaml").read_text())))


def test_local_machines_are_set_up_like_those_on_aws(aws: dict[str, Any]) -> None:
    local = yaml.safe_load((ROOT / "cluster" / "local.yaml").read_text())
    for name in ("setup_commands", "file_mounts", "rsync_exclude"):
        assert local[name] == aws[name]


def test_the_head_is_permanent_and_spot_workers_scale_from_zero(aws: dict[str, Any]) -> None:
    head, worker = aws["available_node_types"]["head"], aws["available_node_types"]["gpu_worker"]
    assert "InstanceMarketOptions" not in head["node_config"]
    assert worker["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert worker["min_workers"] == 0


def test_the_token_is_required_and_copied(aws: dict[str, Any]) -> None:
    assert "/home/ubuntu/.ray/auth_token" in aws["file_mounts"]
    starts = [*aws["head_start_ray_commands"], *aws["worker_start_ray_commands"]]
    assert all("RAY_AUTH_MODE=token" in command for command in starts if "ray start" in command)


def test_machines_have_only_the_rights_they_need(aws: dict[str, Any], s3: None) -> None:
    """An emulated CloudFormation makes the stack."""
    import boto3

    body = (ROOT / "cluster" / "aws_iam.yaml").read_text()
    assert cfnlint.api.lint(body) == []
    parameters = [{"ParameterKey": "Bucket", "ParameterValue": "ours"}]
    client, iam = boto3.client("cloudformation"), boto3.client("iam")
    client.create_stack(StackName="tdmr-ray", TemplateBody=body, Parameters=parameters)
    allowed: dict[str, set[str]] = {}
    for name, kind in aws["available_node_types"].items():
        profile = kind["node_config"]["IamInstanceProfile"]["Name"]
        (role,) = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
        allowed[name] = set(actions_of(iam, role["RoleName"]))
    assert {"ec2:RunInstances", "ec2:TerminateInstances", "iam:PassRole"} <= allowed["head"]
    assert all(action.startswith("s3:") for action in allowed["gpu_worker"])
    assert not any(action in {"*", "s3:*", "ec2:*"} for actions in allowed.values() for action in actions)


def actions_of(iam: Any, role: str) -> Iterator[str]:
    """The actions that a role's own and managed policies allow."""
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for statement in (yaml.safe_load(document) if isinstance(document, str) else document)["Statement"]:
            yield from statement["Action"]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)["PolicyVersion"]
        for statement in found["Document"]["Statement"]:
            yield from statement["Action"]


def test_machines_install_this_checkout_with_tested_versions_and_hide_the_dashboard(aws: dict[str, Any]) -> None:
    assert any("constraints.txt" in command for command in aws["setup_commands"])
    assert any("--dashboard-host=127.0.0.1" in command for command in aws["head_start_ray_commands"])
    assert aws["file_mounts"]["/home/ubuntu/tdmr_ray"] == "."
    assert (ROOT / "constraints.txt").exists()


ALLOWED = {
    "RayJob": {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec", "runtimeEnvYAML"},
    "RayCluster": {
        "rayVersion",
        "authOptions",
        "enableInTreeAutoscaling",
        "autoscalerOptions",
        "headGroupSpec",
        "workerGroupSpecs",
    },
    "head": {"rayStartParams", "template"},
    "worker": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}
"""Fields of KubeRay that the file may use, after ray-operator/apis/ray/v1 and the guide to token authentication."""


def test_the_ray_job_has_only_fields_that_kuberay_and_kubernetes_know() -> None:
    spec = yaml.safe_load((ROOT / "cluster" / "kuberay.yaml").read_text())
    assert (spec["apiVersion"], spec["kind"]) == ("ray.io/v1", "RayJob")
    cluster = spec["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    parts = {"RayJob": spec["spec"], "RayCluster": cluster, "head": cluster["headGroupSpec"], "worker": workers}
    for name, part in parts.items():
        assert set(part) <= ALLOWED[name], name
    for group in (cluster["headGroupSpec"], workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **group["template"]}
        kubernetes_validate.validate(pod, "1.35", strict=True)
    assert f"--set resources.concurrent={workers['maxReplicas']}" in spec["spec"]["entrypoint"]
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_entrypoint_is_a_command_of_this_project() -> None:
    entrypoint = yaml.safe_load((ROOT / "cluster" / "kuberay.yaml").read_text())["spec"]["entrypoint"].split()
    space = entrypoint[entrypoint.index("--space") + 1]
    assert entrypoint[:3] == ["python", "-m", "tdmr_ray.search"]
    assert (ROOT / space).exists()
