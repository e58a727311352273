"""The append-only ledger (one JSON line per record) that is the only truth about a search."""

import errno
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tdmr_ray.checksums import DamagedJson, checked_object, with_checksum
from tdmr_ray.errors import InputError
from tdmr_ray.records import TrialRecord

MOST_SHOWN = 5
"""Damaged lines that a message lists one by one."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DamagedLine:
    """A line of a ledger that is not a record, or not the one that was written.

    Attributes:
        number: Its number, from 1.
        content: What it holds, without the line break.
        reason: What is wrong with it.
    """

    number: int
    content: bytes
    reason: str


class Ledger:
    """Append-only file of records with checksums; a later line with the same id replaces an earlier one.

    One process appends: the owner of the output directory's lock. Others may read meanwhile, and never write.

    Args:
        path: `records.jsonl`; created with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: TrialRecord) -> None:
        """Write one line and flush it to disk; a line that does not fit on the disk is taken back.

        Raises:
            OSError: If it cannot be written.
        """
        tree = with_checksum(json.loads(record.model_dump_json()))
        line = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        with self.path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise

    def read(self) -> list[TrialRecord]:
        """Return all records, in the order in which their ids first appeared; an unfinished last line is ignored.

        Raises:
            InputError: If any other line is damaged.
        """
        records, damaged, _ = self._parse()
        if damaged:
            raise InputError(str(self.path), _describe(damaged, self.path))
        return list({record.id: record for record in records}.values())

    def cut_unfinished_line(self) -> None:
        """Cut off the last line if its writer was killed; only the owner of the lock may."""
        if self.path.exists() and (unfinished := _split(self.path.read_bytes())[1]):
            log.warning("%s: the last line is incomplete (its writer was killed); it is removed", self.path)
            os.truncate(self.path, self.path.stat().st_size - len(unfinished))

    def move_damaged(self, aside: Path) -> list[DamagedLine]:
        """Move damaged lines, and an unfinished last one, to the end of another file; only the owner of the lock may.

        Returns:
            The lines that were moved.
        """
        records, damaged, intact = self._parse()
        unfinished = _split(self.path.read_bytes())[1] if self.path.exists() else b""
        if unfinished:
            damaged.append(DamagedLine(len(records) + len(damaged) + 1, unfinished, "it is unfinished"))
        if damaged:
            with aside.open("ab") as file:
                file.writelines(line.content + b"\n" for line in damaged)
                os.fsync(file.fileno())
            _replace(self.path, b"".join(line + b"\n" for line in intact))
        return damaged

    def _parse(self) -> tuple[list[TrialRecord], list[DamagedLine], list[bytes]]:
        """Return the records, the damaged lines, and the lines of the records."""
        records, damaged, intact = [], [], []
        lines = _split(self.path.read_bytes())[0] if self.path.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                records.append(TrialRecord.model_validate(checked_object(line)))
                intact.append(line)
            except DamagedJson as error:
                damaged.append(DamagedLine(number, line, str(error)))
            except ValidationError as error:
                rule = f"it is not a trial record: {error.errors()[0]['msg']}"
                damaged.append(DamagedLine(number, line, rule))
        return records, damaged, intact


def num_intact_lines(content: bytes) -> int:
    """Return the number of finished lines of a ledger that match their checksums."""
    return sum(_is_intact(line) for line in _split(content)[0])


def _is_intact(line: bytes) -> bool:
    try:
        checked_object(line)
    except DamagedJson:
        return False
    return True


def _split(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the finished lines, and what follows the last line break."""
    *lines, unfinished = content.split(b"\n")
    return lines, unfinished


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    draft.replace(path)


def _describe(damaged: Sequence[DamagedLine], path: Path) -> list[str]:
    """Return a sentence for each damaged line, and the cure."""
    shown = [f"line {line.number} is damaged: {line.reason}" for line in damaged[:MOST_SHOWN]]
    shown += [f"and {len(damaged) - MOST_SHOWN} more lines"] if len(damaged) > MOST_SHOWN else []
    return [*shown[:-1], f"{shown[-1]}; `tdmr repair {path.parent}` moves such lines aside"]
