"""Tune schedulers: first in, first out, with early stopping for each pair."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tdmr_ray.tuning.pruning import Pruner


class WarmActorFIFO(FIFOScheduler):
    """Every trial runs to its end, in an actor that is free or else in a new one.

    Tune's own gives an actor that becomes free to the trial that already waits for a new one, which is then thrown
    away: of trials that are shorter than the start of an actor, only one at a time would ever run.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """None: Tune starts those that wait in their order, and no actor is taken away from them."""
        return None


class PairAsha(WarmActorFIFO):
    """Stops search trials after an epoch when the pruner says so."""

    def __init__(self, pruner: Pruner, objective: str) -> None:
        super().__init__()
        self.pruner, self.objective = pruner, objective

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Go on or stop."""
        score = result.get(f"metrics/{self.objective}")
        if score is None or self.pruner.should_continue(
            result["pair"], result["id"], int(result["epoch"]), float(score)
        ):
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)
