"""Allocation of trials to pairs, against examples worked out by hand."""

import pytest

from tdmr_ray.space.reading import check_tree
from tdmr_ray.tuning.allocation import PairScores, next_adaptive, next_equal, promise, share


@pytest.mark.parametrize(("total", "shares"), [(6, [2, 2, 2]), (7, [3, 2, 2]), (2, [1, 1, 0])])
def test_share_gives_the_remainder_to_the_first_names(total: int, shares: list[int]) -> None:
    assert list(share(total, ["a", "b", "c"]).values()) == shares


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], float("-inf")),
        ([0.5], 0.5),
        ([0.5, 0.4, 0.3], 0.5),
        ([0.5, 0.6, 0.7], 0.9),
        ([0.7, 0.6, 0.5, 0.75], 0.8),
        ([0.75, 0.6, 0.5, 0.7], 0.75),
    ],
)
def test_promise_is_the_best_score_plus_its_rise_over_the_window(scores: list[float], expected: float) -> None:
    assert promise(scores, 2) == pytest.approx(expected)


def test_equal_takes_turns_and_skips_used_up_pairs() -> None:
    assert next_equal(6, {"a": PairScores(1), "b": PairScores(0), "c": PairScores(1)}) == "b"
    assert next_equal(6, {"a": PairScores(2), "b": PairScores(1, used_up=True), "c": PairScores(2)}) is None


FLOORED = {"a": PairScores(4, [0.8, 0.8]), "b": PairScores(4, [0.5, 0.9]), "c": PairScores(4, [0.7, 0.75])}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "b"),
        ({"c": PairScores(3, [0.1])}, "c"),
        ({"b": PairScores(4, [0.5, 0.9], used_up=True)}, "a"),
        ({"b": PairScores(4, [0.8, 0.8]), "a": PairScores(5, [0.8, 0.8])}, "b"),
        ({"c": PairScores(4, [0.2, 0.7])}, "b"),
        ({"c": PairScores(4, [0.3, 0.9])}, "c"),
        ({"a": PairScores(16)}, None),
    ],
    ids=["leader", "floor first", "used up", "ties to the one with fewer", "rising", "rising fastest", "all given"],
)
def test_adaptive_prefers_pairs_below_the_floor_then_the_greatest_promise(
    changes: dict[str, PairScores], expected: str | None
) -> None:
    assert next_adaptive(24, {**FLOORED, **changes}) == expected


@pytest.mark.parametrize(
    ("asked", "minimize", "expected"),
    [
        (None, (), "adaptive"),
        (None, ("latency_ms",), "equal"),
        ("equal", (), "equal"),
        ("adaptive", ("macs",), "adaptive"),
    ],
)
def test_the_default_allocation_depends_on_the_number_of_objectives(
    asked: str | None, minimize: tuple[str, ...], expected: str
) -> None:
    tree = {
        "name": "test",
        "data": {"name": "digits"},
        "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
        "budget": {"allocation": asked},
        "objective": {"minimize": minimize},
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    assert space.allocation == expected
