"""`ray up cluster/aws.yaml` against an emulated EC2, from the first machine to the last; started by `test_aws.py`.

    unshare --net --pid --fork --mount --mount-proc python emulated.py FOLDER

It runs in namespaces of its own: the only network is a loopback, which holds the addresses of emulated machines, so
nothing can leave. `ssh` is a wrapper that logs each host. Home directories are in memory. moto's server plays EC2, IAM,
CloudFormation and S3, a real sshd every machine. A machine that is terminated in EC2 loses its processes and address.

Writes FOLDER/log.json: what happened, when.
"""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import psutil
import yaml
from botocore.exceptions import BotoCoreError, ClientError
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
HOME = Path("/home/ubuntu")
LIMIT_S = 600
"""Limit of every wait; the whole story has a longer one in test_aws.py."""
REGION, BUCKET = "us-west-2", "ours"
OWN_ADDRESS = "--node-ip-address=$(echo $SSH_CONNECTION | cut -d' ' -f3)"
SPACE = {
    "name": "emulated",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
    "budget": {"trials": 4, "epochs": 30},
    "confirm": {"top": 0},
    "resources": {"cpu": 1, "gpu": 1},
    "search": {"distill.lr": {"low": 0.006, "high": 0.03, "log": True}},
    "fixed": {"outputs.num_views": 2, "reprogram.epochs": 1, "prompt.size_px": 0},
}


def call(*command: object, **options: Any) -> str:
    """Run a command that must not fail; return its output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


class Log:
    """Events with the seconds since the start."""

    def __init__(self, path: Path) -> None:
        self.path, self.started, self.events = path, time.monotonic(), []

    def __call__(self, what: str, **facts: Any) -> None:
        """Add an event."""
        self.events.append({"after_s": round(time.monotonic() - self.started, 1), "what": what, **facts})
        self.path.write_text(json.dumps(self.events, indent=1))
        print(self.events[-1], flush=True)


def make_user(folder: Path) -> Path:
    """Make a home for `ubuntu`, another name of root, and an SSH key; return the key."""
    Path("/tmp/ray").mkdir(exist_ok=True)
    for path in ("/home", "/tmp/ray", "/dev/shm"):
        call("mount", "-t", "tmpfs", "none", path)
    shutil.copytree("/etc/skel", HOME)
    (HOME / ".ssh").mkdir()
    (HOME / ".ray").mkdir()
    users = folder / "passwd"
    users.write_text(f"ubuntu:x:0:0::{HOME}:/bin/bash\n" + Path("/etc/passwd").read_text())
    call("mount", "--bind", users, "/etc/passwd")
    key = HOME / ".ssh" / "key.pem"
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    shutil.copy(f"{key}.pub", HOME / ".ssh" / "authorized_keys")
    (HOME / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    return key


def wrap_ssh(folder: Path) -> Path:
    """Make `ssh` log each host and refuse hosts outside this loopback; return the log."""
    real, notes = folder / "ssh", folder / "dialled.txt"
    shutil.copy("/usr/bin/ssh", real)
    wrapper = folder / "wrapper.sh"
    wrapper.write_text(
        "#!/bin/bash\n"
        f'host=$({real} -G "$@" 2>/dev/null | awk \'$1 == "hostname" {{print $2}}\')\n'
        f'echo "$host" >> {notes}\n'
        'ip -o addr show dev lo | grep -q "inet $host/" || { echo "$host is not on loopback" >&2; exit 255; }\n'
        f'exec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    call("mount", "--bind", wrapper, "/usr/bin/ssh")
    return notes


def start_sshd(folder: Path, environment: dict[str, str]) -> None:
    """Start a server that plays every machine."""
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key")
    Path("/run/sshd").mkdir(exist_ok=True)
    lines = [
        "Port 22",
        f"HostKey {folder / 'host_key'}",
        "StrictModes no",
        "UsePAM no",
        "MaxSessions 100",
        "PidFile none",
        "SetEnv " + " ".join(f"{name}={value}" for name, value in environment.items()),
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")])


class Machines:
    """Gives emulated machines addresses on loopback, and removes address and processes of terminated ones."""

    def __init__(self, log: Log) -> None:
        self.ec2, self.log = boto3.client("ec2", region_name=REGION), log
        self.addresses: dict[str, list[str]] = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def running(self, kind: str) -> list[dict[str, Any]]:
        """Return the running machines of a node type."""
        wanted = [
            {"Name": "tag:ray-user-node-type", "Values": [kind]},
            {"Name": "instance-state-name", "Values": ["pending", "running"]},
        ]
        found = self.ec2.describe_instances(Filters=wanted)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]

    def _watch(self) -> None:
        """Follow every machine; moto answers with an error when a machine appears while it lists them."""
        while not self.over.wait(0.3):
            try:
                reservations = self.ec2.describe_instances()["Reservations"]
            except (BotoCoreError, ClientError):
                continue
            for reservation in reservations:
                for instance in reservation["Instances"]:
                    self._follow(instance)

    def _follow(self, instance: dict[str, Any]) -> None:
        name, state = instance["InstanceId"], instance["State"]["Name"]
        if state == "running" and name not in self.addresses:
            own = [instance[key] for key in ("PrivateIpAddress", "PublicIpAddress") if instance.get(key)]
            self.addresses[name] = own
            for address in own:
                call("ip", "addr", "add", f"{address}/32", "dev", "lo")
            kind = next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "ray-user-node-type")
            spot = instance.get("InstanceLifecycle") == "spot"
            self.log("machine", id=name, kind=kind, type=instance["InstanceType"], spot=spot)
        if state == "terminated" and self.addresses.get(name):
            own, self.addresses[name] = self.addresses[name], []
            for process in psutil.process_iter():
                if is_of(process, own[0]):
                    process.kill()
            for address in own:
                call("ip", "addr", "del", f"{address}/32", "dev", "lo")
            self.log("machine gone", id=name)


def is_of(process: psutil.Process, address: str) -> bool:
    """Whether a process belongs to the machine with this address: a raylet or one of its children."""
    try:
        while process.pid > 1:
            line = process.cmdline()
            if any(part.endswith(("raylet", "gcs_server")) for part in line[:1]):
                return any(address in part for part in line)
            parent = process.parent()
            if parent is None:
                return False
            process = parent
    except psutil.Error:
        pass
    return False


def overridden(folder: Path, key: Path) -> Path:
    """Write the users' file without the parts that cannot be emulated: images, keys, installation, `ray stop`."""
    config = yaml.safe_load((ROOT / "cluster" / "aws.yaml").read_text())
    config["provider"]["use_internal_ips"] = True
    config["auth"]["ssh_private_key"] = str(key)
    config["idle_timeout_minutes"] = 1
    image = boto3.client("ec2", region_name=REGION).describe_images()["Images"][0]["ImageId"]
    for kind in config["available_node_types"].values():
        kind["node_config"] |= {"KeyName": "tdmr", "ImageId": image}
    config["available_node_types"]["gpu_worker"]["max_workers"] = config["max_workers"] = 1
    config["file_mounts"]["/home/ubuntu/tdmr_ray"] = str(ROOT)
    linked = f"mkdir -p $HOME/.local/bin && ln -sfn {sys.prefix} $HOME/venv"
    config["setup_commands"] = [linked, *(line for line in config["setup_commands"] if "uv" not in line)]
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):
        lines = [line for line in config[name] if not line.endswith("ray stop")]
        config[name] = [re.sub(r"ray start", f"ray start {OWN_ADDRESS}", line) for line in lines]
    path = folder / "aws.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def prepare_cloud() -> None:
    """Create the roles (by the stack that users deploy), a bucket and a key."""
    body = (ROOT / "cluster" / "aws_iam.yaml").read_text()
    parameters = [{"ParameterKey": "Bucket", "ParameterValue": BUCKET}]
    boto3.client("cloudformation", region_name=REGION).create_stack(
        StackName="tdmr-ray", TemplateBody=body, Parameters=parameters
    )
    where = {"LocationConstraint": REGION}
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    boto3.client("ec2", region_name=REGION).create_key_pair(KeyName="tdmr")


def wait_for(what: str, done: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    """Wait until a condition holds; return its value."""
    deadline = time.monotonic() + LIMIT_S
    while not (found := done()):
        assert process.poll() is None, f"the search ended with {process.returncode} before: {what}"
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.5)
    return found


def kept(suffix: str) -> list[str]:
    """Return the keys of the search's files on S3."""
    listed = boto3.client("s3", region_name=REGION).list_objects_v2(Bucket=BUCKET, Prefix="team/first/")
    return [each["Key"] for each in listed.get("Contents", []) if each["Key"].endswith(suffix)]


def search(config: Path, machines: Machines, log: Log) -> None:
    """Run the search on the head, and terminate its worker in the middle."""
    (HOME / "space.yaml").write_text(yaml.safe_dump(SPACE))
    line = (
        f"cd tdmr_ray && python -m tdmr_ray.search --space {HOME / 'space.yaml'} --address auto "
        f"--storage s3://{BUCKET}/team --out {HOME / 'runs/first'}"
    )
    ray = Path(sys.executable).with_name("ray")
    with subprocess.Popen([str(ray), "exec", "--no-config-cache", str(config), line]) as process:
        (first,) = wait_for("a worker", lambda: machines.running("gpu_worker"), process)
        wait_for("a checkpoint", lambda: kept(".pt"), process)
        machines.ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
        log("worker terminated", id=first["InstanceId"])
        others = wait_for(
            "another worker",
            lambda: [each for each in machines.running("gpu_worker") if each["InstanceId"] != first["InstanceId"]],
            process,
        )
        log("worker replaced", id=others[0]["InstanceId"])
        code = process.wait(timeout=LIMIT_S)
    log("search finished", code=code)


def main(folder: Path) -> None:
    """Run the whole story."""
    log = Log(folder / "log.json")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    call("ip", "link", "set", "lo", "up")
    assert [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]] == ["lo"]
    key, notes = make_user(folder), wrap_ssh(folder)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=5000, verbose=False)
    server.start()
    environment = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "HF_HUB_OFFLINE": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    os.environ |= {**environment, "HOME": str(HOME), "RAY_AUTH_MODE": "token"}
    start_sshd(folder, environment)
    prepare_cloud()
    machines = Machines(log)
    config = overridden(folder, key)
    ray = Path(sys.executable).with_name("ray")
    call(ray, "up", "--yes", "--no-config-cache", config, cwd=ROOT)
    (group,) = machines.ec2.describe_security_groups(GroupNames=["tdmr-ray"])["SecurityGroups"]
    from_outside = [rule for rule in group["IpPermissions"] if rule["IpRanges"]]
    log("head up", open_to_all=[(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in from_outside])
    search(config, machines, log)
    call(ray, "down", "--yes", config, cwd=ROOT)
    log("down", left=len(machines.running("head")) + len(machines.running("gpu_worker")))
    log("dialled", hosts=sorted(set(notes.read_text().split())))
    shutil.copytree(HOME / "runs" / "first", folder / "first")
    machines.over.set()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
