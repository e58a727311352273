"""Conditions that end a phase of a search before its trials are done."""

from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial

from tdmr_ray.runner.stop_flag import StopFlag


class StopCondition(Protocol):
    """Something that can end a phase before its trials are done; running trials can be continued later."""

    @property
    def should_stop(self) -> bool:
        """Whether it is time to end the phase."""

    @property
    def is_patient(self) -> bool:
        """Whether running trials may complete their epoch first."""


class CheckStopConditions(tune.Callback):
    """Sets the flag once a step, so that all who look at it during the step see the same.

    Args:
        conditions: The conditions.
        flag: The flag.
    """

    def __init__(self, conditions: tuple[StopCondition, ...], flag: StopFlag) -> None:
        self.conditions, self.flag = conditions, flag

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look at the conditions; called by Tune."""
        met = [condition for condition in self.conditions if condition.should_stop]
        self.flag.is_set = self.flag.is_set or bool(met)
        patient = all(condition.is_patient for condition in met)
        self.flag.is_waiting = patient and any(trial.status == Trial.RUNNING for trial in trials)


class StopWhenFlagged(tune.Stopper):
    """Ends each trial after its epoch once the flag is set, and all of them unless the flag says to wait for epochs."""

    def __init__(self, flag: StopFlag) -> None:
        self.flag = flag

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether a trial is to be stopped; called by Tune."""
        return self.flag.is_set

    def stop_all(self) -> bool:
        """Whether all trials are to be stopped; called by Tune."""
        return self.flag.is_set and not self.flag.is_waiting
