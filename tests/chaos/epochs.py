"""The epochs that the processes of a search have run, from the log of `hooks/sitecustomize.py`."""

from dataclasses import dataclass, field
from pathlib import Path

FULL, ROOM, DAMAGED = "full", "room", "damaged"
"""Marks in the log: the disk is full, it has room again, a checkpoint was damaged."""


@dataclass
class Stint:
    """What one process did for one trial without a break.

    Attributes:
        ended: The epochs that it completed, those on a full disk not included.
        after_damage: Number of checkpoints that had been damaged when it began.
        cut: Epochs that it began and did not complete.
    """

    ended: list[int] = field(default_factory=list)
    after_damage: int = 0
    cut: int = 0


@dataclass(frozen=True)
class Epochs:
    """All epochs of a search.

    Attributes:
        ended: Trial and number of each completed epoch, in order.
        stints: The stints of each trial, in order.
    """

    ended: list[tuple[str, int]]
    stints: dict[str, list[Stint]]

    @property
    def num_different(self) -> int:
        """The number of different epochs that were completed."""
        return len(set(self.ended))

    @property
    def num_again(self) -> int:
        """The number of completed epochs that were run again."""
        return len(self.ended) - self.num_different

    @property
    def num_cut(self) -> int:
        """The number of epochs that were begun and not completed."""
        return sum(stint.cut for stints in self.stints.values() for stint in stints)

    @classmethod
    def read(cls, log: Path) -> "Epochs":
        """Read the log of a search."""
        ended: list[tuple[str, int]] = []
        stints: dict[str, list[Stint]] = {}
        holders: dict[str, str] = {}
        is_full, num_damaged = False, 0
        for line in log.read_text().splitlines() if log.exists() else []:
            what, *words = line.split()
            if what in (FULL, ROOM, DAMAGED):
                is_full, num_damaged = (what == FULL) or (is_full and what != ROOM), num_damaged + (what == DAMAGED)
                continue
            process, trial, *number = words
            if holders.get(trial) != process:
                holders[trial] = process
                stints.setdefault(trial, []).append(Stint(after_damage=num_damaged))
            stint = stints[trial][-1]
            stint.cut += 1 if what == "begin" else -1
            if number:
                ended.append((trial, int(number[0])))
                stint.ended += [] if is_full else [int(number[0])]
        return cls(ended, stints)

    def losses(self) -> list[int]:
        """Return the number of completed epochs that were lost, each time that another process went on with a trial.

        An epoch more is allowed where a checkpoint was damaged, and is not counted.
        """
        lost = []
        for stints in self.stints.values():
            reached, num_damaged = 0, 0
            for stint in stints:
                if stint.ended:
                    allowed = int(stint.after_damage > num_damaged)
                    lost.append(max(0, reached - min(stint.ended) + 1 - allowed))
                    reached, num_damaged = max(stint.ended), stint.after_damage
        return lost
