"""The faults of a seed, and when each of them comes."""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from chaos.faults import FAULTS, Fault

SEEDS, MINUTES = int(os.environ.get("SEEDS", "2")), float(os.environ.get("MINUTES", "2"))
CHOSEN = os.environ.get("CHAOS_SEED", "")
FAULTS_PER_MINUTE = len(FAULTS) / 4
"""Two seeds of two minutes draw every fault once."""
LAST = 0.9
"""Share of a search's epochs after which no fault is planned."""
EARLY_SHARE, EARLY_S = 0.3, (0.5, 8.0)


@dataclass(frozen=True)
class Plan:
    """A fault and its moment.

    Attributes:
        fault: The fault.
        moment: Share of the search's epochs after which it comes.
        early_s: Seconds after the last start, if it comes then and not at `moment`.
        delay_s: Seconds that it comes later, so that it comes anywhere within an epoch.
    """

    fault: Fault
    moment: float
    early_s: float | None
    delay_s: float

    def __str__(self) -> str:
        when = f"{self.moment:.0%}" if self.early_s is None else f"{self.early_s:.1f} s after a start"
        return f"{self.fault.name} at {when}"


def seeds() -> list[int]:
    """Return the seeds: those in `CHAOS_SEED`, such as `17` or `3,17`, or else as many as `SEEDS` says."""
    return [int(seed) for seed in CHOSEN.split(",")] if CHOSEN else list(range(SEEDS))


def draw_plans(seed: int, faults: Sequence[Fault] = FAULTS, minutes: float = MINUTES) -> list[Plan]:
    """Draw the faults of a seed; an even seed and the next one share a deck, so that together they have every fault."""
    chance = random.Random(seed)
    drawn = list(islice(_deal(seed, faults), round(FAULTS_PER_MINUTE * minutes)))
    plans = []
    for number, fault in enumerate(drawn):
        is_early = fault.may_come_early and chance.random() < EARLY_SHARE
        moment = LAST * (number + chance.random()) / len(drawn)
        plans.append(Plan(fault, moment, chance.uniform(*EARLY_S) if is_early else None, chance.uniform(0, 0.5)))
    return plans


def _deal(seed: int, faults: Sequence[Fault]) -> Iterator[Fault]:
    deck = random.Random(seed // 2).sample(faults, len(faults))
    half = len(deck) // 2
    yield from deck[half:] if seed % 2 else deck[:half]
    chance = random.Random(seed)
    while True:
        yield from chance.sample(faults, len(faults))
