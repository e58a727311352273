"""Adapters to Tune's schedulers: first in, first out, with a `Pruner` that may stop trials early."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tdmr_ray.runner.messages import assignment_in, report_in
from tdmr_ray.training.metrics import score
from tdmr_ray.tuning.pruning import Pruner, group_of


class WarmActorFIFO(FIFOScheduler):
    """Runs every trial to its end, in a free actor or else in a new one.

    Tune's own FIFO gives an actor that becomes free to the trial that already waits for a new actor, which is then
    thrown away. Among trials that are shorter than the start of an actor, only one at a time would ever run.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return None: Tune starts pending trials in order, and no trial loses its actor to another."""
        return None


class PrunerScheduler(WarmActorFIFO):
    """Stops a trial after an epoch when the pruner says so.

    Args:
        pruner: Early-stopping rule.
        objective: Metric whose score the rule compares.
    """

    def __init__(self, pruner: Pruner, objective: str) -> None:
        super().__init__()
        self.pruner, self.objective = pruner, objective

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide whether a trial continues; called by Tune."""
        report, spec = report_in(result), assignment_in(trial.config).spec
        if self.objective not in report.metrics:
            return str(TrialScheduler.CONTINUE)
        reached = score(report.metrics, self.objective)
        goes_on = self.pruner.should_continue(group_of(spec.role, spec.pair), spec.id, report.epoch, reached)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)
