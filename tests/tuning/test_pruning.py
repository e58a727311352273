"""Early stopping, with decisions worked out by hand."""

import optuna
import pytest
from helpers.studies import build_space, record_of

from tdmr_ray.tuning.pruning import Pruner, Rungs, num_promoted, rung_epochs
from tdmr_ray.tuning.studies import PairStudies


@pytest.mark.parametrize(
    ("num_epochs", "rungs"), [(100, (11, 33)), (30, (10,)), (9, (3,)), (3, (1,)), (2, (1,)), (1, ())]
)
def test_rungs_are_thirds_of_thirds_after_the_grace_epochs(num_epochs: int, rungs: tuple[int, ...]) -> None:
    assert rung_epochs(num_epochs) == rungs


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
