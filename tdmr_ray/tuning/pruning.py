"""Early stopping: the seam for pruners, and asynchronous successive halving for each pair on its own."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, isfinite
from statistics import quantiles
from typing import Protocol

from tdmr_ray.pareto import front_numbers
from tdmr_ray.records import TDMR, Pair, Phase, TrialRecord

REDUCTION = 3
RUNG_SHARES = (Fraction(1, 3), Fraction(1, 2))
"""Shares of the epochs after which trials are compared.

They are shares, since every learning-rate schedule stretches over all epochs. `benchmarks/pruning_replay.py` compares
them with other rules.
"""

MARGIN = 0.25
"""Lead of a better trial that does not count yet, in interquartile ranges of the scores at the rung."""


class Pruner(Protocol):
    """An early-stopping rule, as the runner uses it; `Rungs` implements it."""

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs at which trials may be stopped."""

    def should_continue(self, group: str, trial_id: str, epoch: int, score: float) -> bool:
        """Enter a trial's score after an epoch and decide whether it continues.

        Args:
            group: Name of the trials that it is compared with; see `group_of`.
            trial_id: Id of the trial.
            epoch: Epochs completed.
            score: Objective on val; greater is better.
        """


def group_of(role: str, pair: Pair) -> str:
    """Return the name of the trials that are compared with one another: a pair's own, or those of a rival."""
    return pair.name if role == TDMR else f"{role}, {pair.name}"


def rung_epochs(num_epochs: int) -> tuple[int, ...]:
    """Return the epochs at which trials are compared: a third and a half of all, rounded up."""
    marks = sorted({ceil(share * num_epochs) for share in RUNG_SHARES})
    return tuple(mark for mark in marks if mark < num_epochs)


def num_promoted(num_trials: int) -> int:
    """Return the number of trials at a rung that continue: about a third, and at least one."""
    return 1 + (num_trials - 1) // REDUCTION


def close_call(scores: Collection[float]) -> float:
    """Return the lead at a rung that may be chance: `MARGIN` interquartile ranges of the scores.

    A range of the scores has their unit, so it suits every objective, and a few diverged trials do not widen it.
    """
    finite = [score for score in scores if isfinite(score)]
    if len(finite) < 2:
        return 0.0
    lower, _, upper = quantiles(finite, n=4, method="inclusive")
    return MARGIN * (upper - lower)


class Rungs:
    """Asynchronous successive halving (ASHA): at a rung, a trial continues if it is among the best third so far.

    A trial that misses the best third by less than `close_call` continues as well, since so small a lead may be chance.
    With one objective the trials of each group are compared: those of a pair, or of one rival. With several objectives
    the trials of all pairs are compared: first by the number of their Pareto front, then by score.

    The state is a table of scores, which the records of a search rebuild. Ray Tune's schedulers lose theirs on
    restore. Optuna's `SuccessiveHalvingPruner` promotes fewer trials and has rungs at fixed powers.

    Args:
        num_epochs: Epochs of a full trial.
        records: Trials of an earlier part of the search.
        phase: The phase whose trials count.
        costs: Further objectives of each pair by its name, less is better; empty for one objective.

    Attributes:
        epochs: The rungs.
        scores: Scores by group ('' if all pairs are compared) and rung, then by trial id.

    Source: Li et al. 2020 (ASHA), arXiv 1810.05934; for several objectives Schmucker et al. 2021 (MO-ASHA),
    arXiv 2106.12639, with the score in place of their epsilon-net within a front.
    """

    def __init__(
        self,
        num_epochs: int,
        records: Iterable[TrialRecord] = (),
        *,
        phase: Phase = "search",
        costs: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.epochs, self.costs = rung_epochs(num_epochs), costs or {}
        self.scores: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        self.groups: dict[str, str] = {}
        for record in records:
            for epoch in self.epochs:
                if record.phase == phase and len(record.curve) >= epoch:
                    self._enter(group_of(record.role, record.pair), record.id, epoch, record.curve[epoch - 1])

    def should_continue(self, group: str, trial_id: str, epoch: int, score: float) -> bool:
        """Enter a trial's score; True unless `epoch` is a rung and the trial clearly misses the best third there."""
        if epoch not in self.epochs:
            return True
        known = self._enter(group, trial_id, epoch, score)
        raised = {**known, trial_id: score + close_call(known.values())}
        if not self.costs:
            better = sum(other > raised[trial_id] for other in raised.values())
            return better < num_promoted(len(known))
        points = [(value, *(-cost for cost in self.costs[self.groups[other]])) for other, value in raised.items()]
        fronts = dict(zip(raised, front_numbers(points), strict=True))
        own = (fronts[trial_id], -raised[trial_id])
        better = sum((fronts[other], -value) < own for other, value in raised.items())
        return better < num_promoted(len(known))

    def _enter(self, group: str, trial_id: str, epoch: int, score: float) -> dict[str, float]:
        """Enter a score and return the scores with which it is compared, itself included."""
        known = self.scores["" if self.costs else group, epoch]
        known[trial_id], self.groups[trial_id] = score, group
        return known
