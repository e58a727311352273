"""A search under chaos gives the records and the leaderboard of an undisturbed one.

Equality is a fair claim here, and an exact one, for three reasons:

- One trial runs at a time. With two, the order in which they end depends on the machine's load, and with it what Optuna
  suggests next and what is pruned: two undisturbed searches differ then.
- Samplers are seeded by the number of a trial and rebuilt from the ledger, a trial continues bit for bit, and a CPU
  thread adds in a fixed order. So there is no tolerance.
- Both pairs have the same target, so measured latencies, which differ from run to run, decide no tie.

What a stop may change is left out: times, restarts, whether a teacher was made or found, and notes on checkpoints.

Each time that another process goes on with a trial, it may run one completed epoch again. Two faults cost more by their
nature: a damaged checkpoint costs one epoch more, and what is trained while the disk is full is lost.

`make chaos SEEDS=20`; `CHAOS_SEED=17` replays a seed; `MINUTES=10` gives longer searches with more faults.
"""

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chaos.draw import MINUTES, Plan, draw_plans, seeds
from chaos.epochs import Epochs
from chaos.faults import FAULTS, DiskFull
from chaos.running import RunningSearch
from chaos.scene import Scene, opened_scene, write_images
from helpers.resuming import ended, leaderboard, reproducible_rows

pytestmark = pytest.mark.chaos


@dataclass(frozen=True)
class Result:
    """What a finished search has left.

    Attributes:
        rows: Its records, without what a stop may change.
        board: Its leaderboard, without times.
        epochs: Its epochs.
    """

    rows: list[dict[str, Any]]
    board: dict[str, Any]
    epochs: Epochs


def result_of(scene: Scene) -> Result:
    """Read a finished search; no trial has ended twice in its ledger."""
    assert set(ended(scene.ledger).values()) == {1}, "a finished trial was run again"
    rows = reproducible_rows(scene.ledger)
    for row in rows:
        row["notes"] = [note for note in row["notes"] if note["kind"] != "checkpoint"]
    return Result(rows, leaderboard(scene.out), Epochs.read(scene.epochs))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    with opened_scene(tmp_path_factory.mktemp("undisturbed"), images, MINUTES) as scene:
        search = RunningSearch(scene)
        code, output = search.end()
        assert code == 0, output
        return result_of(scene)


@pytest.fixture
def search(images: Path, tmp_path: Path) -> Iterator[RunningSearch]:
    with opened_scene(tmp_path, images, MINUTES) as scene:
        search = RunningSearch(scene)
        try:
            yield search
        finally:
            search.clean_up()


def carry_out(plan: Plan, search: RunningSearch, num_epochs: int, chance: random.Random) -> None:
    """Let a fault happen at its moment, or later if there is nothing that it could hit."""
    if plan.early_s is None:
        search.wait_for(round(plan.moment * num_epochs))
        time.sleep(plan.delay_s)
    else:
        time.sleep(max(0.0, search.started + plan.early_s - time.monotonic()))
    while True:
        assert search.is_running, f"the search ended with {search.process.returncode}, before {plan}: {search.output}"
        if plan.fault.hit(search, chance):
            return
        time.sleep(0.2)


@pytest.mark.parametrize("seed", seeds())
def test_a_search_under_chaos_equals_an_undisturbed_one(
    seed: int, undisturbed: Result, search: RunningSearch, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\nseed {seed}: {text}", flush=True)

    started, chance = time.monotonic(), random.Random(seed)
    can_happen = [fault for fault in FAULTS if search.scene.has_own_disk or not isinstance(fault, DiskFull)]
    plans = draw_plans(seed, can_happen)
    tell(", ".join(map(str, plans)))
    for plan in plans:
        carry_out(plan, search, undisturbed.epochs.num_different, chance)
    code, output = search.end()
    assert code == 0, output
    search.end_beside()

    result = result_of(search.scene)
    epochs, losses = result.epochs, Counter(result.epochs.losses())
    tell(
        f"{search.num_starts} starts, {len(epochs.ended)} epochs, {epochs.num_again} of them again, "
        f"{epochs.num_cut} cut, most lost by a trial at once {max(losses)}, "
        f"{(time.monotonic() - started) / 60:.1f} min"
    )
    assert result.rows == undisturbed.rows
    assert result.board == undisturbed.board
    assert set(epochs.ended) == set(undisturbed.epochs.ended)
    assert max(losses) <= 1, losses
