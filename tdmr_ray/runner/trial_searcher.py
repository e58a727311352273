"""Adapter from a `TrialSource` to Tune's `Searcher`."""

from collections import deque
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from tdmr_ray.runner.messages import Assignment
from tdmr_ray.runner.stop_flag import StopFlag
from tdmr_ray.tuning.trial_source import TrialSource
from tdmr_ray.tuning.trial_spec import TrialSpec


class TrialSearcher(Searcher):
    """Hands the specs of a source to Tune, no more at a time than can run, so that each is drawn as late as possible.

    Args:
        source: Source of specs.
        assign: Builds the assignment of a spec.
        max_concurrent: Trials at the same time.
        ending: Is set when no trial may start any more.

    Attributes:
        live: Specs of the running trials, by Tune's id of a trial.
        lost: Specs whose process died, to be handed out again.
    """

    def __init__(
        self,
        source: TrialSource,
        assign: Callable[[TrialSpec], Assignment],
        max_concurrent: int,
        ending: StopFlag | None = None,
    ) -> None:
        super().__init__()
        self.source, self.assign, self.max_concurrent = source, assign, max_concurrent
        self.ending = ending or StopFlag()
        self.live: dict[str, TrialSpec] = {}
        self.lost: deque[TrialSpec] = deque()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the next assignment; None to wait, FINISHED when there is none left. Called by Tune."""
        if self.ending.is_set:
            return str(Searcher.FINISHED)
        if len(self.live) >= self.max_concurrent:
            return None
        spec = self.lost.popleft() if self.lost else self.source.next_spec()
        if spec is None:
            return str(Searcher.FINISHED) if self.source.exhausted and not self.live else None
        self.live[trial_id] = spec
        return self.assign(spec).as_config()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: `TrialEvents` gets more information."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Do nothing: the ledger is the truth, Tune's snapshot is not."""
