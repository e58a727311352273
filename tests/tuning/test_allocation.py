"""Who gets the next trial, by hand."""

import pytest

from tdmr_ray.space.reading import check_tree
from tdmr_ray.tuning.allocation import PairScores, next_adaptive, next_equal, promise, share


@pytest.mark.parametrize(("total", "shares"), [(6, [2, 2, 2]), (7, [3, 2, 2]), (2, [1, 1, 0])])
def test_share(total: int, shares: list[int]) -> None:
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
def test_promise_is_the_best_and_its_rise_over_the_last_two(scores: list[float], expected: float) -> None:
    assert promise(scores, 2) == pytest.approx(expected)


def test_equal_takes_turns_and_leaves_out_what_is_used_up() -> None:
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
def test_adaptive(changes: dict[str, PairScores], expected: str | None) -> None:
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
def test_who_does_not_ask_gets_what_was_better_for_the_objective(
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
