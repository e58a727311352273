"""Starting Ray or joining one, quietly."""

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tdmr_ray.errors import InputError, SearchStopped
from tdmr_ray.machine import available_cores
from tdmr_ray.runner.private_ray import check_cluster, private_ray
from tdmr_ray.runner.quiet_signals import children_in_own_group, kept_handlers
from tdmr_ray.space import Resources

OBJECT_STORE_BYTES = 400 * 1024**2
"""Size of the object store of a Ray that we start; results are small, images stay in the actors."""

CHECK_EVERY_S = 5.0
START_TIMEOUT = "timed out during startup"
"""What Ray's plain `Exception` says of a start that took longer than its fixed 30 s."""
QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""Environment that turns off Ray's own tables and logs, which would be a second, different truth."""


@contextmanager
def ray_session(address: str | None, *, verbose: bool, without_token: bool = False) -> Iterator[None]:
    """Start a Ray on this machine, or connect to the one at `address`; a Ray of our own is stopped at the end.

    Args:
        address: Address of a running Ray; None starts one that nobody else can use.
        verbose: Whether to show Ray's own log.
        without_token: Whether to join a Ray that has no token.

    Raises:
        InputError: If others can run code on the Ray at `address`.
        SearchStopped: If Ray does not start in time.
    """
    os.environ.update(QUIET)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if not verbose:
        warnings.filterwarnings("ignore", module="ray")
    with ExitStack() as stack:
        _init(_own_settings(stack.enter_context(private_ray())) if address is None else {"address": address}, verbose)
        stack.callback(_shut_down)
        if not verbose:
            logging.getLogger("ray").setLevel(logging.CRITICAL)
        if address is not None:
            check_cluster(ray.get_runtime_context().gcs_address, without_token=without_token)
        yield


def _own_settings(folder: Path) -> dict[str, Any]:
    """Return the arguments of `ray.init` for a Ray of our own.

    Args:
        folder: Folder of its sessions.
    """
    return {
        "address": "local",
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "num_cpus": available_cores(),
        "_temp_dir": str(folder),
    }


def _init(settings: Mapping[str, Any], verbose: bool) -> None:
    import ray

    level = logging.INFO if verbose else logging.CRITICAL
    try:
        with kept_handlers(), children_in_own_group():
            ray.init(logging_level=level, log_to_driver=verbose, **settings)
    except Exception as error:
        if START_TIMEOUT not in str(error):
            raise
        advice = "this machine is too busy; run the command again, with --resume and its --out, when it is less so"
        raise SearchStopped(f"Ray did not start within 30 s: {advice}") from error


def _shut_down() -> None:
    import ray

    with kept_handlers():
        ray.shutdown()


class RayWatch:
    """Stop condition for a Ray that has lost its last machine; Tune would wait for ever.

    Attributes:
        is_dead: Whether no machine was left at the last check.
    """

    def __init__(self) -> None:
        self.checked, self.is_dead = time.monotonic(), False

    @property
    def should_stop(self) -> bool:
        """Whether all machines are lost; checked every few seconds."""
        import ray

        if time.monotonic() - self.checked >= CHECK_EVERY_S:
            self.is_dead = not any(node["Alive"] for node in ray.nodes())
            self.checked = time.monotonic()
        return self.is_dead

    @property
    def is_patient(self) -> bool:
        """Never: nothing is left to wait for."""
        return False


def check_fit(resources: Resources) -> None:
    """Check that a trial fits on a Ray of our own, which does not grow; a larger trial would wait for ever.

    Raises:
        InputError: If Ray has fewer CPUs or GPUs than a trial takes.
    """
    import ray

    have, free = ray.cluster_resources(), resources.kept_free
    needed = {
        "cpu": ("CPU", resources.trial_cpu + free * resources.cpu),
        "gpu": ("GPU", resources.trial_gpu + free * resources.gpu_share),
    }
    beside = f" and {free} workers for a teacher" if free else ""
    problems = [
        f"resources.{name}: a trial{beside} takes {wanted:g}, this machine has {have.get(unit, 0):g}; "
        "give less, or --address"
        for name, (unit, wanted) in needed.items()
        if wanted > have.get(unit, 0)
    ]
    if problems:
        raise InputError("resources", problems)


def largest_cluster(bootstrap: Path = Path("~/ray_bootstrap_config.yaml")) -> dict[str, float]:
    """Return the resources to which a cluster of Ray's launcher can grow; {} without the file of `ray up`.

    Args:
        bootstrap: The cluster file, as `ray up` leaves it on the head.
    """
    path = bootstrap.expanduser()
    if not path.exists():
        return {}
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    left = {name: kind.get("max_workers", 0) for name, kind in config["available_node_types"].items()}
    total: dict[str, float] = {}
    for _ in range(config.get("max_workers", 0)):
        kinds = [name for name, count in left.items() if count > 0 and name != config["head_node_type"]]
        if not kinds:
            break
        left[kinds[0]] -= 1
        for unit, amount in config["available_node_types"][kinds[0]].get("resources", {}).items():
            total[unit] = total.get(unit, 0) + amount
    return total


def num_slots(resources: Resources, *, joined: bool = False) -> int:
    """Return the number of trials that fit at the same time, at least one.

    Args:
        resources: Resources of one trial.
        joined: Whether somebody else has started this Ray; such a Ray counts with the size to which it can grow.
    """
    import ray

    now, most, free = ray.cluster_resources(), largest_cluster() if joined else {}, resources.kept_free
    have = {unit: max(now.get(unit, 0), most.get(unit, 0)) for unit in ("CPU", "GPU")}
    fits = (have["CPU"] - free * resources.cpu) // resources.trial_cpu
    if resources.gpu_share:
        gpus = have["GPU"] - free * resources.gpu_share
        fits = min(fits, int(gpus / resources.trial_gpu + 1e-6))
    slots = max(1, int(fits))
    if resources.concurrent is None:
        return slots
    return resources.concurrent if joined else min(slots, resources.concurrent)
