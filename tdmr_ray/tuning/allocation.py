"""Which pair gets the next trial.

`equal` gives each pair the same number. `adaptive` first gives each a floor of half of that; then every further trial
goes to the pair of the greatest promise: its best score, plus what that rose over its last trials. A pair that leads
may still win, one that rises may still come to lead, and one that does neither gets no more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tdmr_ray.space import AllocationName


@dataclass(frozen=True)
class PairScores:
    """What is known of a pair.

    Attributes:
        handed_out: Trials that it got.
        scores: Of those that have ended, in order; of one that was stopped early the last one.
        used_up: Whether its space holds nothing new.
    """

    handed_out: int
    scores: Sequence[float] = ()
    used_up: bool = False


def share(total: int, names: Sequence[str]) -> dict[str, int]:
    """Divide a number of trials equally; the first names get what is left over."""
    each, left = divmod(total, len(names))
    return {name: each + (index < left) for index, name in enumerate(names)}


def promise(scores: Sequence[float], window: int) -> float:
    """The best score, and once more what it rose over the last `window` scores; -inf without scores."""
    if not scores:
        return float("-inf")
    best = max(scores)
    return best + best - max(scores[: max(1, len(scores) - window)])


def next_equal(total: int, pairs: Mapping[str, PairScores]) -> str | None:
    """The pair that got the smallest part of its share; None when all have theirs."""
    quota = share(total, list(pairs))
    waiting = [name for name, pair in pairs.items() if not pair.used_up and pair.handed_out < quota[name]]
    return min(waiting, key=lambda name: pairs[name].handed_out / quota[name], default=None)


def next_adaptive(total: int, pairs: Mapping[str, PairScores]) -> str | None:
    """A pair below its floor, or else the one of the greatest promise; None when all trials are handed out."""
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
