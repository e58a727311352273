"""Pareto dominance and fronts, compared with small examples solved by hand."""

import pytest

from tdmr_ray.pareto import dominates, front_numbers


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [((1, 1), (0, 1), True), ((1, 1), (1, 1), False), ((2, 0), (0, 2), False), ((0, 1), (1, 1), False)],
)
def test_dominates_needs_one_better_and_no_worse_objective(
    one: tuple[int, int], other: tuple[int, int], expected: bool
) -> None:
    assert dominates(one, other) is expected


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], []),
        ([(1.0,), (3.0,), (2.0,)], [2, 0, 1]),
        ([(3, 1), (2, 2), (1, 3), (2, 1), (1, 1)], [0, 0, 0, 1, 2]),
        ([(1, 1), (1, 1)], [0, 0]),
    ],
)
def test_front_numbers_count_the_dominating_fronts(points: list[tuple[float, ...]], expected: list[int]) -> None:
    assert front_numbers(points) == expected
