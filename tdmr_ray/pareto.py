"""Pareto dominance and non-dominated sorting."""

from collections.abc import Sequence

Point = Sequence[float]
"""Values of several objectives; larger is better for each."""


def dominates(one: Point, other: Point) -> bool:
    """Return whether a point is at least as good in every objective, and better in at least one."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and any(a > b for a, b in zip(one, other, strict=True))


def front_numbers(points: Sequence[Point]) -> list[int]:
    """Return the number of each point's front: 0 for points that no other dominates, 1 for those that only front 0
    dominates, and so on.

    Source: Deb et al. 2002, NSGA-II, "non-dominated sorting".
    """
    numbers = [-1] * len(points)
    left, number = set(range(len(points))), 0
    while left:
        front = {index for index in left if not any(dominates(points[other], points[index]) for other in left)}
        for index in front:
            numbers[index] = number
        left -= front
        number += 1
    return numbers
