"""The control service of Ray is watched while a search runs."""

import socket
import subprocess
import sys
import threading

import pytest
from helpers.waiting import PATIENCE_S

from tdmr_ray.runner.gcs_watch import watched_gcs


def listening() -> tuple[socket.socket, str]:
    server = socket.create_server(("127.0.0.1", 0))
    return server, f"127.0.0.1:{server.getsockname()[1]}"


def test_a_service_that_stops_listening_is_dead() -> None:
    server, address = listening()
    dead = threading.Event()
    with watched_gcs(address, 0.0, dead.set):
        assert not dead.wait(1.5)
        server.close()
        assert dead.wait(PATIENCE_S)


def test_a_service_that_was_never_reached_is_not_watched() -> None:
    server, address = listening()
    server.close()
    for unknown in (address, "", "no address"):
        threads = threading.active_count()
        with watched_gcs(unknown, 0.0, pytest.fail):
            assert threading.active_count() == threads


def test_leaving_says_how_to_go_on_while_the_main_thread_waits() -> None:
    lines = [
        "import threading",
        "from tdmr_ray.runner.gcs_watch import leave",
        "threading.Timer(0.1, leave, [lambda: 'continue with --resume']).start()",
        "threading.Event().wait()",
    ]
    left = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert left.returncode == 1
    assert left.stderr == "Ray has died, its control service does not answer: continue with --resume\n"
