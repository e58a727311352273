"""Temporary folders of processes that were killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tdmr_ray.runner.own_folder import own_folder

MAKE_AND_WAIT = """
import sys, time
from pathlib import Path
from tdmr_ray.runner.own_folder import own_folder
with own_folder("test-", Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_folder_is_private_and_removed(tmp_path: Path) -> None:
    with own_folder("test-", tmp_path) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_is_used_stays(tmp_path: Path) -> None:
    (tmp_path / "test-of_somebody_else").mkdir()
    with subprocess.Popen([sys.executable, "-c", MAKE_AND_WAIT, tmp_path], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        used = Path(other.stdout.readline().strip())
        with own_folder("test-", tmp_path):
            assert used.exists()
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    assert used.exists()
    with own_folder("test-", tmp_path) as folder:
        assert {path.name for path in tmp_path.iterdir()} == {folder.name, "test-of_somebody_else"}
