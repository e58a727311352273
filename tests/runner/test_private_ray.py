"""A Ray of our own is closed to everybody else: to other machines, and to other users of this one."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray
from helpers.listening import is_loopback, listening, tree_of

import tdmr_ray.runner.private_ray
from tdmr_ray.errors import InputError
from tdmr_ray.runner.cluster import ray_session
from tdmr_ray.runner.private_ray import PROBE, check_cluster, private_ray

NOBODY = 65534
AS_NOBODY = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with private_ray() as folder:
        (folder / "session_1").mkdir(parents=True)
        assert os.environ["RAY_AUTH_TOKEN"] != "mine"
    assert os.environ["RAY_AUTH_TOKEN"] == "mine"
    assert "RAY_AUTH_MODE" not in os.environ
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_token_file_that_others_may_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    path = tmp_path / "token"
    path.write_text("secret")
    path.chmod(mode)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    monkeypatch.setattr(tdmr_ray.runner.private_ray, "_answers_without_token", lambda address: False)
    with pytest.raises(InputError, match=f"run: chmod 600 {path}"):
        check_cluster("127.0.0.1:1", without_token=False)
    path.chmod(0o600)
    check_cluster("127.0.0.1:1", without_token=False)


@ray.remote
class Worker:
    def folder(self) -> str:
        return str(ray._private.worker.global_worker.node.get_temp_dir_path())


@pytest.fixture(scope="module")
def sessions() -> Iterator[Path]:
    """The folder of sessions of a running Ray that has a worker."""
    with ray_session(None, verbose=False):
        worker = Worker.remote()
        yield Path(ray.get(worker.folder.remote()))


def own_processes() -> list[psutil.Process]:
    return tree_of(psutil.Process())


def test_everything_listens_on_loopback_only(sessions: Path) -> None:
    addresses = {process.name(): listening(process) for process in own_processes()}
    assert addresses["gcs_server"]
    assert addresses["raylet"]
    assert all(is_loopback(address) for found in addresses.values() for address in found), addresses


def test_only_the_user_can_enter_the_folder_of_sessions(sessions: Path) -> None:
    assert stat.S_IMODE(sessions.parent.stat().st_mode) == 0o700
    assert (sessions / "session_latest").exists()


def test_no_command_line_shows_the_token(sessions: Path) -> None:
    token = os.environ["RAY_AUTH_TOKEN"]
    assert not [process for process in own_processes() if token in " ".join(process.cmdline())]
    assert not any(token in path.read_text(errors="replace") for path in sessions.rglob("logs/*") if path.is_file())


@pytest.mark.parametrize("token", [None, "0" * 64], ids=["no token", "a wrong token"])
def test_nobody_without_the_token_gets_an_answer(sessions: Path, token: str | None) -> None:
    assert "Authentication token is missing or incorrect" in probe(PROBE, token)


@needs_root
def test_another_user_can_neither_connect_nor_read(sessions: Path) -> None:
    assert "Authentication token is missing or incorrect" in probe(f"import ray._raylet\n{AS_NOBODY}{PROBE}", None)
    (raylet,) = (process for process in own_processes() if process.name() == "raylet")
    for secret in (sessions, f"/proc/{raylet.pid}/environ", f"/proc/{os.getpid()}/environ"):
        script = f"{AS_NOBODY}os.listdir({str(secret)!r}) if os.path.isdir({str(secret)!r}) else open({str(secret)!r})"
        assert "PermissionError" in probe(script, None)


def probe(script: str, token: str | None) -> str:
    """What a process prints to stderr that runs a script with the address of the Ray and perhaps a token."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
    arguments = [sys.executable, "-c", script, ray.get_runtime_context().gcs_address]
    return subprocess.run(arguments, env=environment, capture_output=True, text=True).stderr
