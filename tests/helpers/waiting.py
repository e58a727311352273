"""Waiting for a process, with one limit that a loaded machine does not reach."""

import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

PATIENCE_S = 600
"""Limit of every wait: it ends a test that hangs, and says nothing about speed."""


def wait_until(
    condition: Callable[[], Any], what: str, process: "subprocess.Popen[Any] | None" = None, *, pause_s: float = 0.05
) -> Any:
    """Wait until a condition holds and return its value; fail if its process ends first, or after `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert process is None or process.poll() is None, f"the process has ended before: {what}"
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(pause_s)
    return found


def run_together(commands: Sequence[Sequence[str]]) -> None:
    """Run processes that wait for one another; fail as soon as one of them does, and end the others."""
    processes = [subprocess.Popen(command) for command in commands]
    try:
        wait_until(
            lambda: any(each.poll() for each in processes) or all(each.poll() == 0 for each in processes), "the end"
        )
        assert [each.poll() for each in processes] == [0] * len(processes)
    finally:
        for each in processes:
            each.kill()
            each.wait()
