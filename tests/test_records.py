"""Records of trials and the notes in them."""

import pytest
from helpers.made_records import record

from tdmr_ray.records import Pair, TrialRecord, complete, note_weak_teachers


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
