"""The faults: what each does to a running search, and what the search, or its next start, must say and do."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from chaos.damage import damage, damaged_line
from chaos.epochs import DAMAGED, FULL, ROOM
from chaos.running import RunningSearch
from helpers.searching import command

ORDERLY, KILLED_BEFORE_HANDLERS = 130, -signal.SIGTERM


class Fault(ABC):
    """Something that happens to a search.

    Attributes:
        may_come_early: Whether it may also come while the search starts.
    """

    may_come_early = False

    @property
    def name(self) -> str:
        """What it is called in a list of faults."""
        return type(self).__name__

    @abstractmethod
    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        """Let it happen, and start the search again if it has ended; False if there was nothing to hit."""


class WorkerKilled(Fault):
    """The process of a trial is killed; another one goes on with the trial."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        victim = search.find("TrialActor")
        if victim is None:
            return False
        victim.kill()
        return True


class DriverKilled(Fault):
    """The driver is killed; `--resume` goes on, also while the processes of its Ray are still leaving."""

    may_come_early = True

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        search.kill()
        search.start()
        return True


class PartOfRayKilled(Fault):
    """A program of Ray is killed: the search says so and exits, `--resume` goes on."""

    def __init__(self, program: str) -> None:
        self.program = program

    @property
    def name(self) -> str:
        return f"{type(self).__name__}({self.program})"

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        victim = search.find(self.program)
        if victim is None:
            return False
        victim.kill()
        code, output = search.end()
        assert code == 1, output
        assert "--resume" in output.splitlines()[-1], output
        search.start()
        return True


class Terminated(Fault):
    """SIGTERM, perhaps again and again: the search ends in order and says how to go on."""

    may_come_early = True

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        search.process.send_signal(signal.SIGTERM)
        code, output = search.end()
        assert code in (ORDERLY, KILLED_BEFORE_HANDLERS), output
        assert code == KILLED_BEFORE_HANDLERS or output.splitlines()[-1].endswith("--resume") or "again" in output
        search.start()
        return True


class DiskFull(Fault):
    """The output directory's disk has no room: the search says so and exits; with room, `--resume` goes on."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        if not search.scene.has_own_disk:
            return False
        _mark(search, FULL)
        search.scene.fill_disk()
        code, output = search.end()
        assert code == 1, output
        assert output.count("No space left on device; finished trials are safe: make room, then continue") == 1, output
        search.scene.make_room()
        _mark(search, ROOM)
        search.start()
        return True


class StoreDamaged(Fault):
    """A file in half of the store's folders is damaged: whoever opens the folder makes it again."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        folders = [each for each in search.scene.store.iterdir() if each.name[0] != "." and any(each.iterdir())]
        for folder in chance.sample(folders, (len(folders) + 1) // 2):
            with contextlib.suppress(FileNotFoundError):  # it has just been made again
                damage(chance.choice(sorted(folder.iterdir())), chance)
        return bool(folders)


class CheckpointDamaged(Fault):
    """The machine fails, and a running trial's checkpoint is damaged: the trial goes on one epoch earlier."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        if not self._checkpoints(search):
            return False
        search.kill()
        search.wait_for_family()
        found = self._checkpoints(search)
        for path in found:
            damage(path, chance)
        if found:
            _mark(search, DAMAGED)
        search.start()
        return bool(found)

    @staticmethod
    def _checkpoints(search: RunningSearch) -> list[Path]:
        return list((search.scene.out / "checkpoints").glob("*.pt"))


class RecordDamaged(Fault):
    """The machine fails, and a line in the middle of the ledger is damaged: it is told, and `tdmr repair` mends it.

    The line is one that a later one replaces. A record that is lost is a trial that is run again, at another time and
    with other rivals at its rungs: then nothing is equal.
    """

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        search.kill()
        lines = search.scene.ledger.read_bytes().splitlines(keepends=True) if search.scene.ledger.exists() else []
        number = damaged_line(lines, chance)
        if number is not None:
            search.scene.ledger.write_bytes(b"".join(lines))
            search.start()
            code, output = search.end()
            assert code == 2, output
            assert f"line {number + 1} is damaged" in output, output
            assert f"`tdmr repair {search.scene.out}`" in output, output
            repaired = subprocess.run(command("repair", search.scene.out), capture_output=True, text=True)
            assert repaired.returncode == 0, repaired.stderr
            assert "1 lines are now in" in repaired.stdout
        search.start()
        return number is not None


class LineUnfinished(Fault):
    """The machine fails while it writes a record: the next start removes what there is of the line."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        search.kill()
        lines = search.scene.ledger.read_bytes().splitlines(keepends=True) if search.scene.ledger.exists() else []
        if lines:
            with search.scene.ledger.open("ab") as file:
                file.write(lines[-1][: chance.randrange(1, len(lines[-1]))])
        search.start()
        return bool(lines)


class ClockJumped(Fault):
    """The wall clock jumps by hours or days, forwards or backwards."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        draft = search.scene.clock.with_suffix(".draft")
        draft.write_text(str(chance.choice((-1, 1)) * chance.uniform(3600, 3 * 24 * 3600)))
        draft.replace(search.scene.clock)
        return True


class Read(Fault):
    """Somebody reads the results in a loop; see `reader.py`."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        search.start_beside([sys.executable, str(Path(__file__).with_name("reader.py")), str(search.scene.out)])
        return True


class StoreShared(Fault):
    """A second search works with the same store, for as long as it takes."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        out = search.scene.root / f"second-{len(search.beside)}"
        changes = ["--trials", 2, "--set", "confirm.top=0"]
        arguments = ["--space", search.scene.space, "--out", out, "--store", search.scene.store, *changes]
        search.start_beside(command("search", *arguments))
        return True


class DataTouched(Fault):
    """The images get new times, as after a copy or a checkout; their content is the same."""

    def hit(self, search: RunningSearch, chance: random.Random) -> bool:
        for path in search.scene.images.rglob("*.png"):
            os.utime(path, (time.time(), chance.uniform(0, time.time())))
        return True


FAULTS: tuple[Fault, ...] = (
    WorkerKilled(),
    DriverKilled(),
    PartOfRayKilled("raylet"),
    PartOfRayKilled("gcs_server"),
    Terminated(),
    DiskFull(),
    StoreDamaged(),
    CheckpointDamaged(),
    RecordDamaged(),
    LineUnfinished(),
    ClockJumped(),
    Read(),
    StoreShared(),
    DataTouched(),
)


def _mark(search: RunningSearch, what: str) -> None:
    """Note something in the log of epochs."""
    with search.scene.epochs.open("a") as file:
        file.write(f"{what}\n")
