"""A shared store: one process makes a directory, the others wait."""

import threading
from functools import partial
from pathlib import Path

import pytest

from tdmr_ray.runner.leases import LeaseTable
from tdmr_ray.runner.shared_store import SharedStore
from tdmr_ray.store import Store


def test_one_process_makes_a_directory_while_another_waits(tmp_path: Path) -> None:
    leases, begun, go_on, answers = LeaseTable(), threading.Event(), threading.Event(), []

    def write(folder: Path) -> None:
        begun.set()
        assert go_on.wait(60)
        (folder / "a.txt").write_text("made")

    def obtain() -> None:
        shared = SharedStore(Store(tmp_path), leases)
        _, reused = shared.obtain("key", partial(shared.store.add, write=write))
        answers.append((reused, shared.waited_s > 0.1))

    threads = [threading.Thread(target=obtain) for _ in range(2)]
    for thread in threads:
        thread.start()
        assert begun.wait(60)
    threading.Timer(0.5, go_on.set).start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [(False, False), (True, True)]


def test_a_failure_returns_the_lease(tmp_path: Path) -> None:
    leases = LeaseTable()

    def fail(_: Path) -> None:
        raise ValueError("diverged")

    with pytest.raises(ValueError, match="diverged"):
        SharedStore(Store(tmp_path), leases).obtain("key", partial(Store(tmp_path).add, write=fail))
    assert leases.take("key", "another")
