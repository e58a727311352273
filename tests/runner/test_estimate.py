"""Estimated duration of a search, with one second for every step and every image of a foundation."""

from dataclasses import replace
from typing import Any

import pytest
from helpers.searching import SPACE

from tdmr_ray.data.loading import load_task
from tdmr_ray.runner import estimate
from tdmr_ray.runner.estimate import Forecast, Work, forecast
from tdmr_ray.space.reading import space_from_dict

PINNED = {"outputs.num_views": 2, "reprogram.epochs": 1, "mapping.kind": "linear"}
UNPROMPTED = {**PINNED, "prompt.size_px": 0}
STEPS_PER_EPOCH = 8
"""50 labelled images, at least 500 views, batches of 64."""


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = estimate._Timed.load
    monkeypatch.setattr(estimate, "_step_seconds", lambda *_: 1.0)
    monkeypatch.setattr(estimate._Timed, "load", lambda space, label: replace(timed(space, label), image_s=1.0))


def expected(slots: int = 1, **changes: Any) -> Forecast:
    space = space_from_dict({**SPACE, "search": {}, "fixed": UNPROMPTED, **changes})
    return forecast(space, load_task(space.data), slots)


@pytest.mark.usefixtures("seconds")
def test_the_foundation_sees_every_view_once_without_a_learned_prompt() -> None:
    found = expected()
    task = load_task(space_from_dict(SPACE).data)
    assert found.search.teachers == 9 * (len(task.train) + len(task.val))
    assert found.confirmation.teachers == 0, "all seeds and the refit share the features"
    folds = expected(confirm={**SPACE["confirm"], "cv_folds": 3})
    assert folds.confirmation.teachers == 3 * found.search.teachers


@pytest.mark.usefixtures("seconds")
def test_each_learned_prompt_has_passes_of_its_own() -> None:
    found = expected(fixed={**PINNED, "prompt.size_px": 2})
    task = load_task(space_from_dict(SPACE).data)
    own = 2 * len(task.train) + 3 * 500 + len(task.val)
    shared = 9 * (len(task.train) + len(task.val))
    assert found.search.teachers == pytest.approx(shared + own), "six trials have the same teacher"
    seeds, refits, pairs = 2, 2, 2
    assert found.confirmation.teachers == pytest.approx(seeds * refits * pairs * own)


@pytest.mark.usefixtures("seconds")
def test_steps_of_targets_are_counted() -> None:
    found = expected()
    epochs = 3
    assert found.search.targets == pytest.approx(6 * 0.57 * epochs * STEPS_PER_EPOCH)
    tuned = (
        4 * 3 * 0.57 * epochs * STEPS_PER_EPOCH
    )  # scratch and plain_kd for two targets, as many tries as the pair had
    confirmed = 2 * 2 * (2 + 4) * 24
    assert found.confirmation.targets == pytest.approx(tuned + confirmed)
    unrefitted = expected(confirm={**SPACE["confirm"], "refit": False})
    assert unrefitted.confirmation.targets == pytest.approx(tuned + confirmed / 2)
    assert expected(confirm={"top": 0}).confirmation == Work()


@pytest.mark.usefixtures("seconds")
def test_slots_share_the_work() -> None:
    assert expected(slots=2).whole.total == pytest.approx(expected().whole.total / 2)


@pytest.mark.parametrize(
    ("teachers", "targets", "advice"),
    [(100, 100, ""), (600, 100, "running the foundation"), (100, 600, "training targets")],
)
def test_a_long_search_names_what_takes_longest(teachers: float, targets: float, advice: str) -> None:
    said = Forecast(Work(teachers, 0.0), Work(0.0, targets)).advice
    assert (advice in said) if advice else not said


def test_real_times_are_positive() -> None:
    found = expected()
    assert found.search.teachers > 0
    assert found.search.targets > 0
