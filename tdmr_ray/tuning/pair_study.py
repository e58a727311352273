"""One pair's Optuna study: draws its trials by ask and tell."""

import optuna
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import TrialState

from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.space import Space, Value
from tdmr_ray.training.metrics import score
from tdmr_ray.tuning.samplers import build_sampler
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec

MAX_DRAWS = 100
"""Repeated configurations in a row after which the space counts as used up."""
OWN_DRAWS = 5
"""Repeated configurations in a row after which random draws replace those of the sampler."""
REPEATED = "repeated"
"""Attribute of an Optuna trial whose configuration was drawn before; it was not run and has no record."""
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class PairStudy:
    """The study of one foundation-target pair, in the driver's memory.

    No configuration is handed out twice. A trial that was stopped early is told as PRUNED with its intermediate
    values; Ray's OptunaSearch tells it as COMPLETE with the score of its last epoch.

    Args:
        space: The search space.
        pair: The pair.
        index: Number of the pair in the space; part of the seed.
        search_data: Fingerprint of the search's images; part of the trials' ids.

    Attributes:
        study: Optuna's study, which maximises the score; see `training.metrics.score`.
        handed_out: Number of specs handed out.
        scores: Last score of each ended trial.
        used_up: Whether the last attempt to draw found only configurations that were drawn before.
    """

    def __init__(self, space: Space, pair: Pair, index: int, search_data: str = "") -> None:
        self.space, self.pair, self.index, self.search_data = space, pair, index, search_data
        self.study = optuna.create_study(study_name=pair.name, direction="maximize")
        self.handed_out = 0
        self.scores: list[float] = []
        self.used_up = False
        self._shared = IntersectionSearchSpace(include_pruned=True)
        self._trials: dict[str, optuna.Trial] = {}
        self._seen: set[str] = set()

    def draw_new(self) -> TrialSpec | None:
        """Draw a spec from the sampler; None if the space is used up."""
        for attempt in range(MAX_DRAWS):
            if (spec := self.draw(attempt=attempt)) is not None:
                return spec
        self.used_up = True
        return None

    def draw(self, values: dict[str, Value] | None = None, *, attempt: int = 0) -> TrialSpec | None:
        """Draw one spec; None if its configuration was drawn before.

        Args:
            values: Values of the searched parameters; None leaves them to the sampler.
            attempt: Number of configurations since the last spec that were drawn before.
        """
        if values is not None:
            self.study.enqueue_trial(values)
        self.study.sampler = self._build_sampler(attempt)
        trial = self.study.ask()
        if isinstance(self.study.sampler, BaseGASampler):
            self.study.sampler.get_trial_generation(self.study, self.study.get_trials(deepcopy=False)[trial.number])
        config = self.space.suggest(trial, self.pair.foundation, self.pair.target)
        spec = build_spec(config, phase="search", values=dict(trial.params), search_data=self.search_data)
        if spec.id in self._seen:
            trial.set_user_attr(REPEATED, True)
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        self._seen.add(spec.id)
        self._trials[spec.id] = trial
        self.handed_out += 1
        trial.set_user_attr("id", spec.id)
        return spec

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Report a result; the state in the study is the state in the ledger."""
        trial = self._trials.pop(spec.id)
        for epoch, reached in enumerate(record.curve, start=1):
            trial.report(reached, epoch)
        value = score(record.metrics, self.space.objective.metric) if record.state == "complete" else None
        self.study.tell(trial, value, state=STATES[record.state])
        self.scores += record.curve[-1:]

    def _build_sampler(self, attempt: int) -> BaseSampler:
        """Build the sampler of the next trial; `samplers` says why it is a new one each time.

        A genetic sampler has to see every trial, since it assigns each one to a generation.
        """
        own = self.space.sampler == "nsga2" or attempt < OWN_DRAWS
        return build_sampler(
            self.space.sampler if own else "random",
            seed=(self.space.seed, self.index, self.handed_out, attempt),
            num_trials=self.space.budget.trials // len(self.space.all_pairs),
            shared=self._shared,
        )
