"""Stages: the same epochs whatever their number, weight moving from features to logits to labels."""

import pytest

from tdmr_ray.method.stages import TermWeights, plan_stages, stage_at

BASE = TermWeights(alignment=2.0, logits=1.0, labels=0.5)


@pytest.mark.parametrize("num_stages", [1, 2, 3, 4])
@pytest.mark.parametrize("num_epochs", [4, 7, 30, 31])
def test_every_epoch_belongs_to_one_stage(num_stages: int, num_epochs: int) -> None:
    stages = plan_stages(num_stages, num_epochs, BASE)
    assert [stage_at(stages, epoch).index for epoch in range(num_epochs)] == [
        stage.index for stage in stages for _ in range(stage.num_epochs)
    ]
    lengths = [stage.num_epochs for stage in stages]
    assert sum(lengths) == num_epochs
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("num_stages", "expected"),
    [
        (1, [(2.0, 1.0, 0.5)]),
        (2, [(2.0, 1.0, 0.0), (0.0, 0.5, 0.5)]),
        (3, [(2.0, 1.0, 0.0), (1.0, 0.75, 0.25), (0.0, 0.5, 0.5)]),
    ],
)
def test_weights_by_hand(num_stages: int, expected: list[tuple[float, float, float]]) -> None:
    stages = plan_stages(num_stages, 30, BASE)
    assert [(s.weights.alignment, s.weights.logits, s.weights.labels) for s in stages] == expected


@pytest.mark.parametrize(("num_stages", "detached"), [(1, [False]), (3, [True, False, False])])
def test_only_a_first_of_several_stages_keeps_the_head_apart(num_stages: int, detached: list[bool]) -> None:
    assert [stage.detach_head for stage in plan_stages(num_stages, 9, BASE)] == detached


@pytest.mark.parametrize(
    ("num_stages", "num_epochs", "lengths"),
    [(1, 10, [5, 5]), (2, 10, [5, 2, 3]), (1, 1, [1]), (3, 4, [1, 1, 1, 1]), (3, 3, [1, 1, 1])],
)
def test_a_stage_with_labels_alone_takes_half_if_the_others_keep_an_epoch(
    num_stages: int, num_epochs: int, lengths: list[int]
) -> None:
    stages = plan_stages(num_stages, num_epochs, BASE, labels_first=True)
    assert [stage.num_epochs for stage in stages] == lengths
    assert [stage.index for stage in stages] == list(range(len(lengths)))
    assert [stage.only_labels for stage in stages] == [len(lengths) > num_stages, *[False] * (len(lengths) - 1)]
    plain = plan_stages(num_stages, num_epochs, BASE)
    assert [stage.weights for stage in stages[-num_stages:]] == [stage.weights for stage in plain]


@pytest.mark.parametrize(("num_stages", "num_epochs"), [(0, 5), (6, 5)])
def test_impossible_plans_are_refused(num_stages: int, num_epochs: int) -> None:
    with pytest.raises(ValueError, match="num_stages <= num_epochs"):
        plan_stages(num_stages, num_epochs, BASE)
