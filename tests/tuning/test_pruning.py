"""Early stopping by hand."""

import pytest
from test_studies import build, record_of

from tdmr_ray.tuning.pruning import Rungs, num_going_on, rung_epochs
from tdmr_ray.tuning.studies import PairStudies


@pytest.mark.parametrize(
    ("num_epochs", "rungs"), [(100, (11, 33)), (30, (10,)), (9, (3,)), (3, (1,)), (2, (1,)), (1, ())]
)
def test_rungs_are_thirds_of_thirds_after_a_grace(num_epochs: int, rungs: tuple[int, ...]) -> None:
    assert rung_epochs(num_epochs) == rungs


def test_the_best_third_so_far_goes_on() -> None:
    rungs = Rungs(9)
    decisions = [rungs.goes_on("pair", str(score), 3, score) for score in (0.5, 0.4, 0.6, 0.3, 0.55, 0.7)]
    # thresholds: .5; .467; .533; .5; .533; .567
    assert decisions == [True, False, True, False, True, True]


def test_between_rungs_everything_goes_on_and_pairs_do_not_mix() -> None:
    rungs = Rungs(9)
    assert rungs.goes_on("pair", "a", 3, 0.9)
    assert rungs.goes_on("pair", "b", 4, 0.0)
    assert rungs.goes_on("other", "c", 3, 0.1)
    assert not rungs.goes_on("pair", "d", 3, 0.1)


def test_a_trial_that_goes_on_from_a_checkpoint_is_counted_once() -> None:
    rungs = Rungs(9)
    for name, score in (("a", 0.5), ("b", 0.4), ("b", 0.4), ("b", 0.4)):
        rungs.goes_on("pair", name, 3, score)
    assert rungs.scores["pair", 3] == {"a": 0.5, "b": 0.4}


def test_rebuilt_from_records_the_rungs_are_those_before() -> None:
    studies, live = PairStudies(build()), Rungs(9)
    records = []
    for number in range(8):
        spec = studies.next_spec()
        assert spec is not None
        record = record_of(spec, "pruned" if number % 3 else "complete", 0.1 * number)
        for epoch, value in enumerate(record.curve, start=1):
            live.goes_on(spec.pair.name, spec.id, epoch, value)
        records.append(record)
    assert Rungs(9, records).scores == live.scores


def test_with_several_objectives_all_pairs_stand_beside_one_another() -> None:
    rungs = Rungs(9, costs={"small": [1.0], "large": [5.0]})
    assert rungs.goes_on("large", "a", 3, 0.8)
    assert rungs.goes_on("small", "b", 3, 0.8)  # as good, and cheaper: the first front has it alone
    assert not rungs.goes_on("large", "c", 3, 0.8)
    assert rungs.goes_on("large", "d", 3, 0.9)  # dearer, but better: on the first front, and its best
    assert not rungs.goes_on("large", "e", 3, 0.85)


def test_with_several_objectives_a_cheap_trial_goes_on_though_it_scores_less() -> None:
    alone, beside = Rungs(9), Rungs(9, costs={"small": [1.0], "large": [5.0]})
    for rungs in (alone, beside):
        for number, score in enumerate((0.9, 0.8, 0.7, 0.6, 0.5, 0.4)):
            rungs.goes_on("large", str(number), 3, score)
    assert beside.goes_on("small", "new", 3, 0.45)
    assert not alone.goes_on("large", "new", 3, 0.45)


@pytest.mark.parametrize(("num_trials", "count"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (10, 4), (100, 34)])
def test_about_a_third_goes_on(num_trials: int, count: int) -> None:
    assert num_going_on(num_trials) == count
