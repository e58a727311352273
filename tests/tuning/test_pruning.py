"""Early stopping, with decisions worked out by hand."""

from math import inf, nan

import optuna
import pytest
from helpers.studies import build_space, record_of

from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.tuning.pruning import Pruner, Rungs, close_call, group_of, num_promoted, rung_epochs
from tdmr_ray.tuning.studies import PairStudies


@pytest.mark.parametrize(
    ("num_epochs", "rungs"),
    [
        (100, (34, 50)),
        (30, (10, 15)),
        (27, (9, 14)),
        (20, (7, 10)),
        (12, (4, 6)),
        (9, (3, 5)),
        (6, (2, 3)),
        (4, (2,)),
        (3, (1, 2)),
        (2, (1,)),
        (1, ()),
    ],
)
def test_rungs_are_a_third_and_a_half_of_the_epochs(num_epochs: int, rungs: tuple[int, ...]) -> None:
    assert rung_epochs(num_epochs) == rungs


@pytest.mark.parametrize("num_epochs", range(1, 200))
def test_no_rung_lies_before_a_third_of_the_epochs_or_at_their_end(num_epochs: int) -> None:
    assert all(num_epochs <= 3 * rung and rung < num_epochs for rung in rung_epochs(num_epochs))


@pytest.mark.parametrize(
    ("scores", "lead"),
    [
        ([], 0.0),
        ([0.5], 0.0),
        ([0.5, 0.5, 0.5], 0.0),
        ([0.0, 0.25, 0.5, 0.75, 1.0], 0.125),  # quartiles 0.25 and 0.75
        ([0.0, 0.25, 0.5, 0.75, 1.0, -inf, nan], 0.125),
        ([-1e6, 0.25, 0.5, 0.75, 1.0], 0.125),  # a diverged loss
    ],
)
def test_a_close_call_is_a_quarter_of_the_interquartile_range(scores: list[float], lead: float) -> None:
    assert close_call(scores) == pytest.approx(lead)


@pytest.mark.parametrize(("score", "continues"), [(0.55, False), (0.66, False), (0.69, True), (0.72, True)])
def test_a_trial_that_narrowly_misses_the_best_third_continues(score: float, continues: bool) -> None:
    rungs = Rungs(9)
    for number, other in enumerate((0.3, 0.4, 0.5, 0.6, 0.7, 0.74, 0.75, 0.8)):
        rungs.should_continue("pair", str(number), 3, other)
    # three of nine continue outright, from 0.74 on; a quarter of the interquartile range is 0.06
    assert rungs.should_continue("pair", "new", 3, score) is continues


def test_a_trial_may_be_stopped_at_each_rung() -> None:
    rungs = Rungs(9)
    for epoch in (3, 5):
        assert rungs.should_continue("pair", "good", epoch, 0.9)
        assert not rungs.should_continue("pair", "bad", epoch, 0.1)


def test_the_best_third_so_far_continues() -> None:
    rungs = Rungs(9)
    decisions = [rungs.should_continue("pair", str(score), 3, score) for score in (0.5, 0.4, 0.6, 0.3, 0.55, 0.7)]
    # thresholds: .5; .467; .533; .5; .533; .567
    assert decisions == [True, False, True, False, True, True]


def test_trials_continue_between_rungs_and_pairs_are_not_compared() -> None:
    rungs = Rungs(9)
    assert rungs.should_continue("pair", "a", 3, 0.9)
    assert rungs.should_continue("pair", "b", 4, 0.0)
    assert rungs.should_continue("other", "c", 3, 0.1)
    assert not rungs.should_continue("pair", "d", 3, 0.1)


def test_a_trial_resumed_from_a_checkpoint_counts_once() -> None:
    rungs = Rungs(9)
    for name, score in (("a", 0.5), ("b", 0.4), ("b", 0.4), ("b", 0.4)):
        rungs.should_continue("pair", name, 3, score)
    assert rungs.scores["pair", 3] == {"a": 0.5, "b": 0.4}


def test_rungs_rebuilt_from_records_equal_the_original() -> None:
    studies, live = PairStudies(build_space()), Rungs(9)
    records = []
    for number in range(8):
        spec = studies.next_spec()
        assert spec is not None
        record = record_of(spec, "pruned" if number % 3 else "complete", 0.1 * number)
        for epoch, value in enumerate(record.curve, start=1):
            live.should_continue(spec.pair.name, spec.id, epoch, value)
        records.append(record)
    assert Rungs(9, records).scores == live.scores


def test_the_rates_of_each_rival_are_compared_with_one_another() -> None:
    pair = Pair(foundation="", target="lcnet_035")
    scores = {"scratch": (0.9, 0.8), "fine_tune": (0.5, 0.4)}
    rungs, decisions, records = Rungs(9, phase="tune"), {}, []
    for role, values in scores.items():
        for number, value in enumerate(values):
            name = f"{role}-{number}"
            decisions[name] = rungs.should_continue(group_of(role, pair), name, 3, value)
            run = {"phase": "tune", "role": role, "pair": pair, "config": {}, "values": {}, "seed": 0, "seconds": 1.0}
            records.append(TrialRecord(id=name, state="running", curve=[0.1, 0.2, value], **run))
    assert decisions == {"scratch-0": True, "scratch-1": False, "fine_tune-0": True, "fine_tune-1": False}
    assert Rungs(9, records, phase="tune").scores == rungs.scores
    assert not Rungs(9, records).scores


def test_the_lower_log_losses_continue() -> None:
    studies, losses = PairStudies(build_space(objective="val/log_loss")), (0.5, 0.6, 0.4, 0.7, 0.45, 0.3)
    live, decisions, records = Rungs(9), [], []
    for loss in losses:
        spec = studies.next_spec()
        assert spec is not None
        records.append(record_of(spec, "pruned", loss))
        decisions.append(live.should_continue("pair", spec.id, 3, records[-1].curve[2]))
    assert decisions == [True, False, True, False, True, True]  # as for accuracies that are mirrored at 0.5
    assert set(Rungs(9, records).scores["glyph_cnn-lcnet_035", 3].values()) == {-0.5, -0.4, -0.45}


def test_with_several_objectives_all_pairs_are_compared() -> None:
    rungs = Rungs(9, costs={"small": [1.0], "large": [5.0]})
    assert rungs.should_continue("large", "a", 3, 0.8)
    assert rungs.should_continue("small", "b", 3, 0.8)  # as good, and cheaper: the first front has it alone
    assert not rungs.should_continue("large", "c", 3, 0.8)
    assert rungs.should_continue("large", "d", 3, 0.9)  # dearer, but better: on the first front, and its best
    assert not rungs.should_continue("large", "e", 3, 0.85)


def test_with_several_objectives_a_cheap_trial_continues_despite_a_lower_score() -> None:
    alone, beside = Rungs(9), Rungs(9, costs={"small": [1.0], "large": [5.0]})
    for rungs in (alone, beside):
        for number, score in enumerate((0.9, 0.8, 0.7, 0.6, 0.5, 0.4)):
            rungs.should_continue("large", str(number), 3, score)
    assert beside.should_continue("small", "new", 3, 0.45)
    assert not alone.should_continue("large", "new", 3, 0.45)


@pytest.mark.parametrize(("num_trials", "count"), [(1, 1), (2, 1), (3, 1), (4, 2), (6, 2), (7, 3), (10, 4), (100, 34)])
def test_about_a_third_is_promoted(num_trials: int, count: int) -> None:
    assert num_promoted(num_trials) == count


def test_rungs_promote_more_trials_than_optunas_successive_halving() -> None:
    """Documents why `Rungs` is not replaced by Optuna's pruner: 2 of 5 trials pass here, 1 of 5 there."""
    scores = (0.7, 0.6, 0.5, 0.4, 0.65)
    rungs: Pruner = Rungs(9)
    ours = [rungs.should_continue("pair", str(score), 3, score) for score in scores]
    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=3)
    )
    theirs = []
    for score in scores:
        trial = study.ask()
        trial.report(score, step=3)
        theirs.append(not trial.should_prune())
    assert ours == [True, False, False, False, True]
    assert theirs == [True, False, False, False, False]
