"""Which of several points no other point beats."""

from collections.abc import Sequence

Point = Sequence[float]
"""Several figures; more is better in each."""


def dominates(one: Point, other: Point) -> bool:
    """Whether a point is at least as good everywhere, and better somewhere."""
    return all(a >= b for a, b in zip(one, other, strict=True)) and any(a > b for a, b in zip(one, other, strict=True))


def front_numbers(points: Sequence[Point]) -> list[int]:
    """0 for points that none dominates, 1 for those that only these dominate, and so on.

    Source: Deb et al. 2002, NSGA-II, "non-dominated sorting".
    """
    numbers = [-1] * len(points)
    left, number = set(range(len(points))), 0
    while left:
        front = {place for place in left if not any(dominates(points[other], points[place]) for other in left)}
        for place in front:
            numbers[place] = number
        left -= front
        number += 1
    return numbers
