"""Machine and versions of a search, for `environment.json`."""

import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

import torch

from tdmr_ray.machine import available_cores

PACKAGES = ("tdmr_ray", "ray", "torch", "torchvision", "timm", "optuna", "tensorboard", "numpy", "scikit-learn")


class Environment(TypedDict):
    """Content of `environment.json`; `gpu` and `commit` are None where there is none, `versions` those installed."""

    python: str
    system: str
    cpu_count: int | None
    available_cores: int
    gpu: str | None
    commit: str | None
    versions: dict[str, str]


def describe_environment() -> Environment:
    """Describe the machine, the versions and, in a checkout, the commit."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "cpu_count": os.cpu_count(),
        "available_cores": available_cores(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": current_commit(),
        "versions": _installed(PACKAGES),
    }


def _installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of the packages that are installed: a trainer works without Ray and Optuna."""
    found = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def current_commit() -> str | None:
    """Return the commit of the checkout; None without one."""
    command = ["git", "-C", str(Path(__file__).parents[2]), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
