"""The ledger (append, replace, repair) and the notes in its records."""

from pathlib import Path

import pytest

from tdmr_ray.errors import InputError
from tdmr_ray.records import Ledger, Pair, TrialRecord, complete, note_weak_teachers


def record(name: str, **values: object) -> TrialRecord:
    base = {
        "id": name,
        "phase": "search",
        "pair": Pair(foundation="f", target="t"),
        "config": {"a": {"b": 1}},
        "state": "complete",
        "seed": 0,
        "seconds": 1.5,
    }
    return TrialRecord.model_validate({**base, **values})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "records.jsonl")


def test_a_ledger_returns_the_records_that_were_appended(ledger: Ledger) -> None:
    assert ledger.read() == []
    records = [record("one", metrics={"val/top1": 0.1 + 0.2}), record("two", state="failed", error="x\ny")]
    for each in records:
        ledger.append(each)
    assert ledger.read() == records


def test_a_later_line_replaces_an_earlier_one_and_keeps_its_position(ledger: Ledger) -> None:
    for each in (record("one", state="failed"), record("two"), record("one")):
        ledger.append(each)
    assert [(r.id, r.state) for r in ledger.read()] == [("one", "complete"), ("two", "complete")]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_an_incomplete_last_line_is_removed_with_a_warning(
    cut: int, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.append(record("one"))
    ledger.append(record("two"))
    ledger.path.write_bytes(ledger.path.read_bytes()[:-cut])
    assert [r.id for r in ledger.read()] == ["one"]
    assert f"{ledger.path}: the last line is incomplete" in caplog.text
    ledger.append(record("three"))
    assert [r.id for r in ledger.read()] == ["one", "three"]


def test_a_damaged_line_in_the_middle_is_an_error(ledger: Ledger) -> None:
    ledger.append(record("one"))
    ledger.path.write_text("{}\n" + ledger.path.read_text())
    with pytest.raises(InputError, match="line 1 is not a trial record"):
        ledger.read()


def test_complete_filters_by_phase_role_and_state() -> None:
    records = [record("a"), record("b", state="pruned"), record("c", phase="confirm"), record("d", role="scratch")]
    assert [r.id for r in complete(records, phase="search")] == ["a"]
    assert [r.id for r in complete(records, phase="confirm")] == ["c"]


@pytest.mark.parametrize(
    ("foundation", "target", "name"),
    [("f", "t", "f-t"), ("", "t", "t"), ("f", "", "f"), ("hf-hub:a/b", "t", "hf-hub_a_b-t")],
)
def test_pair_names_are_safe_folder_names(foundation: str, target: str, name: str) -> None:
    assert Pair(foundation=foundation, target=target).name == name


def scratch(val: float, target: str = "t") -> TrialRecord:
    pair = Pair(foundation="", target=target)
    return record(f"s{target}{val}", phase="confirm", role="scratch", pair=pair, metrics={"val/top1": val})


@pytest.mark.parametrize(
    ("teacher", "controls", "noted"),
    [
        (0.80, [scratch(0.9), scratch(0.7)], False),
        (0.79, [scratch(0.9), scratch(0.7)], True),
        (0.79, [scratch(0.9, target="other")], False),
        (0.79, [], False),
    ],
)
def test_a_teacher_below_scratch_gets_one_note(teacher: float, controls: list[TrialRecord], noted: bool) -> None:
    trials = [record("ours", metrics={"val/top1": 0.95, "val/teacher_top1": teacher}), record("failed", state="failed")]
    found = note_weak_teachers([*trials, *controls])
    assert [each.id for each in found] == (["ours"] if noted else [])
    assert all(each.notes[0].kind == "weak_teacher" for each in found)
    assert note_weak_teachers([*found, *controls]) == []
