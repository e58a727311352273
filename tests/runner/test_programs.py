"""A program is made once, whoever asks."""

import multiprocessing
from pathlib import Path

import pytest

from tdmr_ray.data.task import Task
from tdmr_ray.runner import programs
from tdmr_ray.runner.programs import StoredFoundry
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.program import make_program


def test_the_second_time_it_is_taken_from_the_store(
    tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def count(config: TrialConfig, task: Task) -> object:
        made.append(config)
        return make_program(config, task)

    monkeypatch.setattr(programs, "make_program", count)
    first, second = StoredFoundry(Store(tmp_path)), StoredFoundry(Store(tmp_path))
    program = first(tiny_config, tiny_task)
    assert second(tiny_config, tiny_task).val_top1 == program.val_top1
    assert (first.reused, second.reused) == (False, True)
    assert first.key == second.key
    assert len(made) == 1
    second(tiny_config.replace(prompt__size_px=2), tiny_task)
    assert len(made) == 2


def _ask(folder: str, config: TrialConfig, task: Task, answers: "multiprocessing.Queue[bool]") -> None:
    foundry = StoredFoundry(Store(Path(folder)))
    foundry(config, task)
    answers.put(foundry.reused)


def test_of_two_processes_at_once_one_waits(tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_ask, args=(str(tmp_path), tiny_config, tiny_task, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert sorted(answers.get(timeout=5) for _ in range(2)) == [False, True]


def test_a_damaged_program_is_made_again(tmp_path: Path, tiny_config: TrialConfig, tiny_task: Task) -> None:
    foundry = StoredFoundry(Store(tmp_path))
    foundry(tiny_config, tiny_task)
    (tmp_path / foundry.key / "logits.npy").write_bytes(b"broken")
    foundry(tiny_config, tiny_task)
    assert not foundry.reused
    foundry(tiny_config, tiny_task)
    assert foundry.reused
