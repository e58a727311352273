"""Trials after the search: learning rates of rivals, confirmation, refit and cross-validation."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from helpers.searching import SPACE

from tdmr_ray.records import Phase, TrialRecord
from tdmr_ray.runner.confirmation import PHASES, Confirmation
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.space.reading import space_from_dict
from tdmr_ray.tuning.studies import PairStudies
from tdmr_ray.tuning.trial_spec import TrialSpec

TASKS = TaskCache()
PAIRS = 2
CONFIRM = {"top": 1, "seeds": [0, 1, 2], "controls": ["scratch", "linear_probe", "plain_kd", "majority"], "steps": 60}


def record_of(spec: TrialSpec, score: float = 0.5, best_epoch: float | None = None) -> TrialRecord:
    metrics = {"val/top1": score, "val/log_loss": 1 - score}
    return TrialRecord(
        id=spec.id,
        phase=spec.phase,
        role=spec.role,
        pair=spec.pair,
        config=spec.config.model_dump(mode="json"),
        values=dict(spec.values),
        recipe=spec.recipe,
        state="complete",
        metrics=metrics if best_epoch is None else {**metrics, "best_epoch": best_epoch},
        seed=spec.config.seed,
        seconds=1.0,
    )


def plan(**confirm: Any) -> tuple[Confirmation, list[TrialRecord]]:
    """A confirmation of a search of six trials, each a little better than the one before."""
    space = space_from_dict({**SPACE, "confirm": {**CONFIRM, **confirm}})
    studies, records = PairStudies(space), []
    while (spec := studies.next_spec()) is not None:
        records.append(record_of(spec, 0.5 + 0.01 * len(records)))
        studies.tell(spec, records[-1])
    return Confirmation(space, TASKS), records


def run(
    confirmation: Confirmation,
    records: list[TrialRecord],
    phase: Phase,
    score: Callable[[TrialSpec], float] = lambda spec: 0.5,
    best_epoch: Callable[[TrialSpec], float | None] = lambda spec: None,
) -> list[TrialSpec]:
    """Plan a phase and record all its trials."""
    specs = confirmation.left(phase, records)
    records += [record_of(spec, score(spec), best_epoch(spec)) for spec in specs]
    return specs


def test_each_rival_gets_as_many_tries_at_its_rate_as_the_pair_had_trials() -> None:
    confirmation, records = plan()
    specs = run(confirmation, records, "tune")
    tries = Counter((spec.role, spec.pair.title) for spec in specs)
    assert set(tries.values()) == {len(records[:6]) // PAIRS}
    assert {role for role, _ in tries} == {"scratch", "plain_kd"}
    assert all(spec.config.data.draw == 0 for spec in specs)
    assert len({spec.config.distill.lr for spec in specs}) == 3


def test_the_number_of_tries_can_be_given() -> None:
    confirmation, records = plan(rival_trials=5)
    assert len(confirmation.left("tune", records)) == 5 * 2 * PAIRS
    confirmation, records = plan(rival_trials=0)
    assert confirmation.left("tune", records) == []


def test_val_chooses_the_rate_with_which_a_rival_is_confirmed() -> None:
    confirmation, records = plan()
    run(confirmation, records, "tune", score=lambda spec: 1 - spec.config.distill.lr)
    rates = {spec.config.distill.lr for spec in run(confirmation, records, "confirm") if spec.role == "scratch"}
    assert rates == {0.003}


def test_rates_that_were_stopped_early_are_done_and_never_chosen() -> None:
    confirmation, records = plan()
    first, *others = confirmation.left("tune", records)
    records += [record_of(first, 0.9).model_copy(update={"state": "pruned"}), *(record_of(spec) for spec in others)]
    assert confirmation.left("tune", records) == []
    specs = confirmation.left("confirm", records)
    rates = {spec.config.distill.lr for spec in specs if (spec.role, spec.pair) == (first.role, first.pair)}
    assert len(rates) == 1
    assert first.config.distill.lr not in rates


def test_all_that_train_get_the_same_number_of_steps_and_the_same_patience() -> None:
    confirmation, records = plan(patience=0.4)
    specs = run(confirmation, records, "confirm")
    steps = {spec.role: confirmation.work(spec) for spec in specs}
    assert steps.pop("linear_probe") == steps.pop("majority") == 0
    assert set(steps) == {"tdmr", "scratch", "plain_kd"}
    assert all(60 <= each < 60 + 10 for each in steps.values()), "an epoch may overshoot"
    assert {spec.config.distill.patience for spec in specs if spec.role in steps} == {0.4}


def test_each_seed_draws_all_images_but_test_anew() -> None:
    confirmation, records = plan()
    specs = run(confirmation, records, "confirm")
    assert {(spec.config.seed, spec.config.data.draw) for spec in specs} == {(0, 1), (1, 2), (2, 3)}
    tasks = [TASKS.get(spec.config.data) for spec in specs if spec.role == "tdmr"]
    assert len({task.fingerprint for task in tasks}) == 3
    assert all(task.test.labels.equal(tasks[0].test.labels) for task in tasks)


@pytest.mark.parametrize(("best_epochs", "share"), [((2, 2, 2), 0.25), ((2, 4, 8), 0.5), ((8, 8, 1), 1.0)])
def test_a_refit_stops_at_the_median_share_that_val_chose(best_epochs: tuple[int, ...], share: float) -> None:
    confirmation, records = plan()
    run(
        confirmation,
        records,
        "confirm",
        best_epoch=lambda spec: best_epochs[spec.config.seed] / 8 * spec.config.distill.epochs,
    )
    specs = [spec for spec in run(confirmation, records, "refit") if spec.role == "tdmr"]
    assert {spec.config.distill.stop_at for spec in specs} == {share}
    assert {spec.config.data.join for spec in specs} == {"val"}
    assert {spec.config.distill.patience for spec in specs} == {1.0}
    assert {spec.recipe for spec in specs} <= _confirmed(records)


def _confirmed(records: list[TrialRecord]) -> set[str]:
    return {record.recipe for record in records if record.phase == "confirm"}


@pytest.mark.parametrize(("refit", "count"), [(False, 0), (True, 3), ("all", 4)])
def test_every_seed_is_refitted_and_one_more_with_the_labels_of_test(refit: bool | str, count: int) -> None:
    confirmation, records = plan(refit=refit)
    run(confirmation, records, "confirm")
    specs = run(confirmation, records, "refit")
    assert Counter(spec.recipe for spec in specs) == dict.fromkeys(_confirmed(records) if count else (), count)
    assert sum(spec.config.data.join == "all" for spec in specs) == (len(_confirmed(records)) if refit == "all" else 0)


def test_a_cross_validation_runs_each_recipe_on_every_fold() -> None:
    confirmation, records = plan(cv_folds=4, refit=False)
    run(confirmation, records, "confirm")
    specs = run(confirmation, records, "cv")
    assert Counter(spec.recipe for spec in specs) == dict.fromkeys(_confirmed(records), 4)
    assert {(spec.config.data.folds, spec.config.data.fold) for spec in specs} == {(4, fold) for fold in range(4)}


def test_nothing_is_planned_twice() -> None:
    confirmation, records = plan(cv_folds=2, refit="all")
    for phase in PHASES:
        assert run(confirmation, records, phase)
        assert confirmation.left(phase, records) == []


def test_equal_results_on_val_are_ordered_by_log_loss() -> None:
    confirmation, records = plan()
    best = max(range(len(records)), key=lambda index: records[index].metrics["val/top1"])
    for index, record in enumerate(records):
        record.metrics.update({"val/top1": 0.9, "val/log_loss": 0.2 if index == best else 0.3})
    finalists = [spec for spec in confirmation.left("confirm", records) if spec.role == "tdmr"]
    assert records[best].recipe in {spec.recipe for spec in finalists}
