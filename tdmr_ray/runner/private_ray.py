"""A Ray of our own that nobody else can use: it listens on loopback only, has its own token and a private folder."""

import os
import secrets
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tdmr_ray.errors import InputError
from tdmr_ray.runner.own_folder import own_folder
from tdmr_ray.runner.start_checks import FOLDER_PREFIX, SESSIONS, temp_dir

LOOPBACK_INTERFACE = "lo0" if sys.platform == "darwin" else "lo"
PROBE = (
    "import sys; from ray._raylet import GcsClient; GcsClient(sys.argv[1]).internal_kv_exists(b'-', b'-', timeout=5)"
)
"""Asks a control service for anything; it answers within seconds, or raises."""
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def private_ray() -> Iterator[Path]:
    """Make the next `ray.init` start a Ray that only this process and its children can use.

    The token is in the environment alone, where other users cannot read it. Everything that Ray leaves is removed.

    Yields:
        Folder for Ray's sessions, in one that only this user can enter; Ray opens the folder itself to everybody.
    """
    own = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "GLOO_SOCKET_IFNAME": LOOPBACK_INTERFACE,
    }
    with own_folder(FOLDER_PREFIX, temp_dir()) as folder, _on_loopback(), ray_environment(own):
        yield folder / SESSIONS


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Let Ray take 127.0.0.1 for this machine's address, as it does by itself on macOS and Windows."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def ray_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Change environment variables, and what Ray remembers of them, for the duration."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    _forget_token()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _forget_token()


def _forget_token() -> None:
    """Let Ray read mode and token again; the mode first, since a token must exist while the mode asks for one."""
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def check_cluster(address: str, *, without_token: bool) -> None:
    """Check that a running Ray refuses those who lack its token, and that nobody else can read our copy.

    Args:
        address: HOST:PORT of its control service.
        without_token: Whether the user accepts a Ray that everybody who reaches it controls.

    Raises:
        InputError: If others can run code as the user.
    """
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    if _answers_without_token(address):
        if not without_token:
            problem = f"the Ray at {address} asks for no token, so whoever reaches it can run code there"
            raise InputError("--address", f"{problem}; start it with RAY_AUTH_MODE=token, or give --without-token")
    elif "RAY_AUTH_TOKEN" not in os.environ and path.exists() and path.stat().st_mode & OF_OTHERS:
        raise InputError("--address", f"other users may read {path}, the token of your Ray; run: chmod 600 {path}")


def _answers_without_token(address: str) -> bool:
    """Whether a process that has no token gets an answer; what Ray remembers of ours makes a second process needed."""
    environment = {name: value for name, value in os.environ.items() if name not in TOKEN_VARIABLES}
    command = [sys.executable, "-c", PROBE, address]
    probe = subprocess.run(command, env={**environment, "RAY_AUTH_MODE": "disabled"}, capture_output=True)
    return probe.returncode == 0
