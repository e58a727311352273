"""Allocation of trials to pairs.

`equal` gives every pair the same number of trials. `adaptive` first gives every pair half of that (its floor); each
further trial goes to the pair with the greatest promise, which is its best score plus the rise of that score over its
last trials. A pair that leads may still win and a pair that rises may still take the lead; the others get no more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tdmr_ray.space import AllocationName


@dataclass(frozen=True)
class PairScores:
    """The state of a pair.

    Attributes:
        handed_out: Number of trials it received.
        scores: Last score of each ended trial, in the order in which they ended.
        used_up: Whether its space holds no new configuration.
    """

    handed_out: int
    scores: Sequence[float] = ()
    used_up: bool = False


def share(total: int, names: Sequence[str]) -> dict[str, int]:
    """Divide a number of trials equally; the first names get the remainder."""
    each, left = divmod(total, len(names))
    return {name: each + (index < left) for index, name in enumerate(names)}


def promise(scores: Sequence[float], window: int) -> float:
    """The best score plus its rise over the last `window` scores; -inf without scores."""
    if not scores:
        return float("-inf")
    best = max(scores)
    return best + best - max(scores[: max(1, len(scores) - window)])


def next_equal(total: int, pairs: Mapping[str, PairScores]) -> str | None:
    """The pair that received the smallest fraction of its share; None when all have theirs."""
    quota = share(total, list(pairs))
    waiting = [name for name, pair in pairs.items() if not pair.used_up and pair.handed_out < quota[name]]
    return min(waiting, key=lambda name: pairs[name].handed_out / quota[name], default=None)


def next_adaptive(total: int, pairs: Mapping[str, PairScores]) -> str | None:
    """A pair below its floor, or else the pair with the greatest promise; None when all trials are handed out."""
    if sum(pair.handed_out for pair in pairs.values()) >= total:
        return None
    waiting = [name for name, pair in pairs.items() if not pair.used_up]
    floor = total // (2 * len(pairs))
    below = [name for name in waiting if pairs[name].handed_out < floor]
    if below:
        return min(below, key=lambda name: pairs[name].handed_out)
    window = max(1, floor)
    return max(waiting, key=lambda name: (promise(pairs[name].scores, window), -pairs[name].handed_out), default=None)


ALLOCATIONS: dict[AllocationName, Callable[[int, Mapping[str, PairScores]], str | None]] = {
    "equal": next_equal,
    "adaptive": next_adaptive,
}
"""Rules by name: from the total number of trials and the state of the pairs to the name of the next pair."""
