"""A search under chaos: its process, its output, and how far it has come."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

import psutil
from chaos.epochs import Epochs
from chaos.scene import Scene
from helpers.searching import command
from helpers.waiting import PATIENCE_S, wait_until

HOOKS = Path(__file__).parent / "hooks"


class RunningSearch:
    """A search that is started again and again in the same output directory.

    Args:
        scene: Its files.

    Attributes:
        process: The driver.
        started: Monotonic time of the last start.
        beside: Processes that work beside the search and must succeed.
        families: All processes that were seen below the drivers, by their ids.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene, self.num_starts = scene, 0
        self.beside: list[subprocess.Popen[bytes]] = []
        self.families: dict[int, psutil.Process] = {}
        self.start()

    @property
    def log(self) -> Path:
        """File with the output of the last start."""
        return self.scene.root / f"output-{self.num_starts}.txt"

    @property
    def output(self) -> str:
        """Output of the last start."""
        return self.log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether the driver lives."""
        return self.process.poll() is None

    @property
    def epochs(self) -> Epochs:
        """All epochs until now."""
        return Epochs.read(self.scene.epochs)

    def start(self) -> None:
        """Start the search, or resume it."""
        self.num_starts += 1
        self.started = time.monotonic()
        path = os.pathsep.join(filter(None, (str(HOOKS), os.environ.get("PYTHONPATH"))))
        own = {"PYTHONPATH": path, "CHAOS_EPOCHS": str(self.scene.epochs), "CHAOS_CLOCK": str(self.scene.clock)}
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                command("search", *self.scene.arguments()),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **own},
            )

    def children(self) -> list[psutil.Process]:
        """Return the processes below the driver."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(self.process.pid).children(recursive=True)
        self.families |= {each.pid: each for each in found}
        return found

    def family(self) -> list[psutil.Process]:
        """Return the processes below this driver and the earlier ones that still live."""
        self.children()
        return [each for each in self.families.values() if each.is_running()]

    def find(self, name: str) -> psutil.Process | None:
        """Return the process below the driver that is called so, by its name or command."""
        for each in self.children():
            with contextlib.suppress(psutil.Error):
                if name == each.name() or name in "".join(each.cmdline()[:1]):
                    return each
        return None

    def wait_for(self, num_epochs: int) -> bool:
        """Wait until so many different epochs have been run; False if the search has ended before."""
        wait_until(lambda: not self.is_running or self.epochs.num_different >= num_epochs, f"{num_epochs} epochs")
        return self.is_running

    def kill(self) -> None:
        """Kill the driver."""
        self.children()
        self.process.kill()
        self.process.wait()

    def wait_for_family(self) -> None:
        """Wait until all processes of the search but Ray's agents, which notice after a minute, have ended."""
        wait_until(lambda: not [each for each in self.family() if not _may_stay(each)], "the end of Ray's processes")

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and output, which is not allowed to hold a traceback."""
        self.children()
        code = self.process.wait(timeout=PATIENCE_S)
        assert "Traceback" not in self.output, self.output
        return code, self.output

    def start_beside(self, arguments: list[str]) -> None:
        """Start a process that works beside the search."""
        with (self.scene.root / f"beside-{len(self.beside)}.txt").open("w") as output:
            process = subprocess.Popen(arguments, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        self.beside.append(process)

    def end_beside(self) -> None:
        """Wait for the processes beside the search; all of them must succeed."""
        for number, process in enumerate(self.beside):
            code = process.wait(timeout=PATIENCE_S)
            assert code == 0, (self.scene.root / f"beside-{number}.txt").read_text()

    def clean_up(self) -> None:
        """End whatever still runs."""
        alive = [*self.family()]
        for each in self.beside:
            with contextlib.suppress(psutil.Error):
                alive += psutil.Process(each.pid).children(recursive=True)
        for process in (self.process, *self.beside):
            process.kill()
            process.wait()
        for member in alive:
            with contextlib.suppress(psutil.Error):
                member.kill()


def _may_stay(process: psutil.Process) -> bool:
    """Whether it is one of Ray's agents, or has ended and only its parent has not noticed."""
    with contextlib.suppress(psutil.Error):
        return process.status() == psutil.STATUS_ZOMBIE or "gent" in process.name() + "".join(process.cmdline())
    return True
