"""Early stopping for each pair on its own: asynchronous successive halving.

At a rung, a trial goes on if it is among the best third of its pair's trials that came there so far. The state is a
table of scores that the ledger can rebuild; Tune's own schedulers lose theirs on restore.

Source: Li et al. 2020, arXiv 1810.05934.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tdmr_ray.pareto import front_numbers
from tdmr_ray.records import TrialRecord

REDUCTION = 3
GRACE_EPOCHS = 8
"""No comparison before: after 3 of 30 epochs the order of trials was noise, and good teachers were thrown away."""


def rung_epochs(num_epochs: int) -> tuple[int, ...]:
    """The epochs at which trials are compared: a third of all, a third of that, ... after `GRACE_EPOCHS`."""
    marks = [round(num_epochs / REDUCTION)]
    while marks[0] / REDUCTION >= GRACE_EPOCHS:
        marks.insert(0, round(marks[0] / REDUCTION))
    return tuple(mark for mark in marks if 1 <= mark < num_epochs)


def num_going_on(num_trials: int) -> int:
    """How many of so many trials a rung lets go on: about a third, and at least one."""
    return 1 + (num_trials - 1) // REDUCTION


class Rungs:
    """Scores of trials at each rung, by the trial's id; the same whether entered or read from records.

    With one objective each pair's trials are compared with one another. With several, those of all pairs are, by the
    number of the front of points that none beats in all objectives, and within a front by score.

    Args:
        num_epochs: Of a trial.
        records: Of an earlier part of the search.
        costs: What else counts, less is better, for each pair's name; empty for one objective.

    Source: for several objectives Schmucker et al. 2021 (MO-ASHA), arXiv 2106.12639, with the score in place of their
    epsilon-net within a front.
    """

    def __init__(
        self, num_epochs: int, records: Iterable[TrialRecord] = (), costs: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        self.epochs, self.costs = rung_epochs(num_epochs), costs or {}
        self.scores: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        self.pairs: dict[str, str] = {}
        for record in records:
            for epoch in self.epochs:
                if record.phase == "search" and len(record.curve) >= epoch:
                    self._enter(record.pair.name, record.id, epoch, record.curve[epoch - 1])

    def goes_on(self, pair: str, name: str, epoch: int, score: float) -> bool:
        """Enter a trial's score; True unless the epoch is a rung and the trial is not among the best third there."""
        if epoch not in self.epochs:
            return True
        known = self._enter(pair, name, epoch, score)
        if not self.costs:
            return sum(other > score for other in known.values()) < num_going_on(len(known))
        points = [(value, *(-cost for cost in self.costs[self.pairs[other]])) for other, value in known.items()]
        fronts = dict(zip(known, front_numbers(points), strict=True))
        own = (fronts[name], -score)
        better = sum((fronts[other], -value) < own for other, value in known.items())
        return better < num_going_on(len(known))

    def _enter(self, pair: str, name: str, epoch: int, score: float) -> dict[str, float]:
        """The scores beside which a trial's score stands, with it."""
        known = self.scores["" if self.costs else pair, epoch]
        known[name], self.pairs[name] = score, pair
        return known
