"""What the chaos test relies on: its seeds draw every fault, and its log tells what was lost."""

from pathlib import Path

import pytest
from chaos.draw import draw_plans
from chaos.epochs import Epochs
from chaos.faults import FAULTS


def test_an_even_seed_and_the_next_one_draw_every_fault_and_the_same_again() -> None:
    for seed in (0, 6):
        drawn = [plan.fault.name for number in (seed, seed + 1) for plan in draw_plans(number, minutes=2)]
        assert sorted(drawn) == sorted(fault.name for fault in FAULTS)
        assert draw_plans(seed, minutes=2) == draw_plans(seed, minutes=2)
    assert len(draw_plans(0, minutes=10)) == 35


def process(number: int, *epochs: int) -> str:
    return "".join(f"begin {number} a\nend {number} a {epoch}\n" for epoch in epochs)


@pytest.mark.parametrize(
    ("log", "losses", "again", "cut"),
    [
        (process(1, 1, 2, 3), [0], 0, 0),
        (process(1, 1, 2) + "begin 1 a\n" + process(2, 3), [0, 0], 0, 1),
        (process(1, 1, 2) + process(2, 2, 3), [0, 1], 1, 0),
        (process(1, 1, 2, 3) + process(2, 1, 2, 3), [0, 3], 3, 0),
        (process(1, 1, 2, 3) + "damaged\n" + process(2, 3), [0, 0], 1, 0),
        (process(1, 1, 2, 3) + "damaged\n" + process(2, 2, 3), [0, 1], 2, 0),
        (process(1, 1) + "full\n" + process(1, 2, 3) + "room\n" + process(2, 2, 3), [0, 0], 2, 0),
        (process(1, 1, 2) + "full\n" + process(1, 3) + "room\n" + process(2, 1, 2, 3), [0, 2], 3, 0),
    ],
)
def test_the_log_tells_what_was_lost(log: str, losses: list[int], again: int, cut: int, tmp_path: Path) -> None:
    (tmp_path / "epochs.log").write_text(log)
    epochs = Epochs.read(tmp_path / "epochs.log")
    assert epochs.losses() == losses
    assert (epochs.num_again, epochs.num_cut) == (again, cut)
