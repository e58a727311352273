"""The ledger: append, replace, checksums, and the damage that only the owner of the lock repairs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.made_records import record
from helpers.waiting import PATIENCE_S
from typer.testing import CliRunner

from tdmr_ray.checksums import CHECKSUM
from tdmr_ray.cli import app
from tdmr_ray.errors import InputError
from tdmr_ray.ledger import Ledger
from tdmr_ray.output_dir import locked_output_dir
from tdmr_ray.repair import ASIDE

WRITER = """
import sys
from pathlib import Path
from helpers.made_records import record
from tdmr_ray.ledger import Ledger

ledger = Ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    ledger.append(record(f"t{number}", error="x" * 40_000))
"""
"""Appends lines that are longer than any buffer."""


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "records.jsonl")


def ids(ledger: Ledger) -> list[str]:
    return [each.id for each in ledger.read()]


def test_a_ledger_returns_the_records_that_were_appended(ledger: Ledger) -> None:
    assert ledger.read() == []
    records = [record("one", metrics={"val/top1": 0.1 + 0.2}), record("zwölf", state="failed", error="x\ny\u2028")]
    for each in records:
        ledger.append(each)
    assert ledger.read() == records


def test_a_later_line_replaces_an_earlier_one_and_keeps_its_position(ledger: Ledger) -> None:
    for each in (record("one", state="failed"), record("two"), record("one")):
        ledger.append(each)
    assert [(r.id, r.state) for r in ledger.read()] == [("one", "complete"), ("two", "complete")]


def test_lines_without_a_checksum_are_read(ledger: Ledger) -> None:
    ledger.append(record("one"))
    tree = json.loads(ledger.path.read_text())
    del tree[CHECKSUM]
    ledger.path.write_text(json.dumps(tree) + "\n")
    assert ids(ledger) == ["one"]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_readers_ignore_an_unfinished_last_line_and_the_owner_cuts_it_off(
    cut: int, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.append(record("one"))
    ledger.append(record("two"))
    torn = ledger.path.read_bytes()[:-cut]
    ledger.path.write_bytes(torn)
    assert ids(ledger) == ["one"]
    assert ledger.path.read_bytes() == torn
    assert caplog.text == ""
    ledger.cut_unfinished_line()
    assert f"{ledger.path}: the last line is incomplete" in caplog.text
    ledger.append(record("three"))
    assert ids(ledger) == ["one", "three"]


def test_readers_of_a_ledger_that_is_written_see_whole_records_and_change_nothing(ledger: Ledger) -> None:
    count = 60
    command = [sys.executable, "-c", WRITER, str(ledger.path), str(count)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    seen = [0]
    with subprocess.Popen(command, env=env) as writer:
        while writer.poll() is None:
            seen.append(len(ledger.read()))
        assert writer.wait(PATIENCE_S) == 0
    assert seen == sorted(seen)
    assert ids(ledger) == [f"t{number}" for number in range(count)]


def test_a_line_that_does_not_fit_on_the_disk_is_taken_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    ledger.append(record("one"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            ledger.append(record("two"))
    ledger.append(record("three"))
    assert ids(ledger) == ["one", "three"]


def flip(position: int) -> Callable[[bytes], bytes]:
    """Change one bit of a line, which may leave it valid JSON."""
    return lambda line: line[:position] + bytes([line[position] ^ 1]) + line[position + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    **{f"byte {position}": flip(position) for position in (0, 8, 60, -4, -15)},
    "cut": lambda line: line[: len(line) // 2],
    "empty": lambda line: b"",
    "foreign": lambda line: b'{"a": 1}',
    "list": lambda line: b"[]",
    "no text": lambda line: bytes(range(128, 256)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_told_with_its_cure_which_works(damage: Callable[[bytes], bytes], ledger: Ledger) -> None:
    for name in ("one", "two", "three"):
        ledger.append(record(name, seconds=1.25, error="e" * 30))
    lines = ledger.path.read_bytes().splitlines()
    lines[1] = damage(lines[1])
    content = b"".join(line + b"\n" for line in lines)
    ledger.path.write_bytes(content)
    with pytest.raises(InputError, match=r"line 2 is damaged: .*; `tdmr repair .*` moves such lines aside"):
        ledger.read()
    assert ledger.path.read_bytes() == content
    shown = CliRunner().invoke(app, ["repair", str(ledger.path.parent)])
    assert shown.exit_code == 0
    assert shown.output.startswith("line 2: ")
    assert ids(ledger) == ["one", "three"]
    assert (ledger.path.parent / ASIDE).read_bytes() == lines[1] + b"\n"
    assert "is intact" in CliRunner().invoke(app, ["repair", str(ledger.path.parent)]).output


def test_a_running_search_is_not_repaired(ledger: Ledger) -> None:
    ledger.append(record("one"))
    with locked_output_dir(ledger.path.parent):
        ended = subprocess.run([sys.executable, "-m", "tdmr_ray.repair", str(ledger.path.parent)], capture_output=True)
    assert ended.returncode == 2
    assert b"is in use by process" in ended.stderr


def test_a_folder_without_records_is_not_repaired(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no records\.jsonl"):
        CliRunner().invoke(app, ["repair", str(tmp_path)], standalone_mode=False, catch_exceptions=False)
