"""Early stopping: the seam for pruners, and asynchronous successive halving for each pair on its own."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tdmr_ray.pareto import front_numbers
from tdmr_ray.records import TrialRecord

REDUCTION = 3
GRACE_EPOCHS = 8
"""Epochs before the first comparison: after 3 of 30 epochs the ranking was noise, and good teachers were lost."""


class Pruner(Protocol):
    """An early-stopping rule, as the runner uses it; `Rungs` implements it."""

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs at which trials may be stopped."""

    def should_continue(self, pair: str, trial_id: str, epoch: int, score: float) -> bool:
        """Enter a trial's score after an epoch and decide whether it continues.

        Args:
            pair: Name of the pair.
            trial_id: Id of the trial.
            epoch: Epochs completed.
            score: Objective on val; greater is better.
        """


def rung_epochs(num_epochs: int) -> tuple[int, ...]:
    """Return the epochs at which trials are compared: a third of all, a third of that, ... down to `GRACE_EPOCHS`."""
    marks = [round(num_epochs / REDUCTION)]
    while marks[0] / REDUCTION >= GRACE_EPOCHS:
        marks.insert(0, round(marks[0] / REDUCTION))
    return tuple(mark for mark in marks if 1 <= mark < num_epochs)


def num_promoted(num_trials: int) -> int:
    """Return the number of trials at a rung that continue: about a third, and at least one."""
    return 1 + (num_trials - 1) // REDUCTION


class Rungs:
    """Asynchronous successive halving (ASHA): at a rung, a trial continues if it is among the best third so far.

    With one objective each pair's trials are compared with one another. With several objectives the trials of all
    pairs are compared: first by the number of their Pareto front, then by score.

    The state is a table of scores, which the records of a search rebuild. Ray Tune's schedulers lose theirs on
    restore. Optuna's `SuccessiveHalvingPruner` promotes fewer trials and has rungs at fixed powers.

    Args:
        num_epochs: Epochs of a full trial.
        records: Trials of an earlier part of the search.
        costs: Further objectives of each pair by its name, less is better; empty for one objective.

    Attributes:
        epochs: The rungs.
        scores: Scores by pair ('' if all pairs are compared) and rung, then by trial id.

    Source: Li et al. 2020 (ASHA), arXiv 1810.05934; for several objectives Schmucker et al. 2021 (MO-ASHA),
    arXiv 2106.12639, with the score in place of their epsilon-net within a front.
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

    def should_continue(self, pair: str, trial_id: str, epoch: int, score: float) -> bool:
        """Enter a trial's score; True unless `epoch` is a rung and the trial is not among the best third there."""
        if epoch not in self.epochs:
            return True
        known = self._enter(pair, trial_id, epoch, score)
        if not self.costs:
            return sum(other > score for other in known.values()) < num_promoted(len(known))
        points = [(value, *(-cost for cost in self.costs[self.pairs[other]])) for other, value in known.items()]
        fronts = dict(zip(known, front_numbers(points), strict=True))
        own = (fronts[trial_id], -score)
        better = sum((fronts[other], -value) < own for other, value in known.items())
        return better < num_promoted(len(known))

    def _enter(self, pair: str, trial_id: str, epoch: int, score: float) -> dict[str, float]:
        """Enter a score and return the scores with which it is compared, itself included."""
        known = self.scores["" if self.costs else pair, epoch]
        known[trial_id], self.pairs[trial_id] = score, pair
        return known
