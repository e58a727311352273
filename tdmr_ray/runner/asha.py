"""Early stopping for each pair on its own: asynchronous successive halving.

At a rung, a trial goes on if it is among the best third of its pair's trials that came there so far. The state is a
table of scores that the ledger can rebuild; Tune's own schedulers lose theirs on restore.

Source: Li et al. 2020, arXiv 1810.05934.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

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


class Rungs:
    """Scores of each pair's trials at each rung, by the trial's id; the same whether entered or read from records."""

    def __init__(self, num_epochs: int, records: Iterable[TrialRecord] = ()) -> None:
        self.epochs = rung_epochs(num_epochs)
        self.scores: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
        for record in records:
            for epoch in self.epochs:
                if record.phase == "search" and len(record.curve) >= epoch:
                    self.scores[record.pair.name, epoch][record.id] = record.curve[epoch - 1]

    def goes_on(self, pair: str, name: str, epoch: int, score: float) -> bool:
        """Enter a trial's score; True unless the epoch is a rung and the score is below the best third there."""
        if epoch not in self.epochs:
            return True
        known = self.scores[pair, epoch]
        known[name] = score
        return score >= float(np.quantile(list(known.values()), 1 - 1 / REDUCTION))


class PairAsha(FIFOScheduler):
    """Asks `Rungs` after each epoch of a search trial."""

    def __init__(self, rungs: Rungs, objective: str) -> None:
        super().__init__()
        self.rungs, self.objective = rungs, objective

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Go on or stop."""
        score = result.get(f"metrics/{self.objective}")
        if score is None or self.rungs.goes_on(result["pair"], result["id"], int(result["epoch"]), float(score)):
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)
