"""Our Optuna searcher: one study for each pair, in the driver's memory, by ask and tell.

A trial that was stopped early is on_progress as PRUNED with its intermediate values; Ray's own OptunaSearch tells it as
COMPLETE with the score of its last epoch. Knows nothing about Ray.
"""

from collections import deque
from collections.abc import Iterable

import optuna
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import TrialState
from pydantic import ValidationError

from tdmr_ray.records import Pair, TrialRecord, complete
from tdmr_ray.space import Space, Value
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.allocation import ALLOCATIONS, PairScores
from tdmr_ray.tuning.samplers import build_sampler
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec

MAX_DRAWS = 100
OWN_DRAWS = 5
"""A sampler that draws what was drawn before so often is helped by chance; after `MAX_DRAWS` the space is used up."""
REPEATED = "repeated"
"""Marks a trial in Optuna whose configuration was drawn before; it was not run and has no record."""
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
NUM_WINNERS = 3
"""Of other searches, and of sister pairs, that a pair begins with."""


class PairStudies:
    """Hands out the search's specs, to each pair its part, and learns from how they end.

    The first spec of a pair has the default configuration (or the nearest to it that the space allows); then come the
    best of other searches, and of its sister pairs if those have finished trials already. A configuration that was
    drawn before is not run again.

    Args:
        space: What is searched.
        records: Of an earlier part of the same search; those that fit the space count, `outside` holds the others.
        others: Best trials of other searches to begin with; only their configurations count.

    Attributes:
        studies: By the pair's name.
        outside: Records whose configuration the space does not hold.
    """

    def __init__(self, space: Space, records: Iterable[TrialRecord] = (), others: Iterable[TrialRecord] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self.pairs = [Pair(foundation=foundation, target=target) for foundation, target in space.all_pairs]
        self.studies = {
            pair.name: optuna.create_study(study_name=pair.name, direction="maximize") for pair in self.pairs
        }
        self.handed_out = dict.fromkeys(self.studies, 0)
        self.outside: list[TrialRecord] = []
        self._finished: list[TrialRecord] = []
        self._interrupted: deque[TrialSpec] = deque()
        self._scores: dict[str, list[float]] = {name: [] for name in self.studies}
        self._used_up: set[str] = set()
        self._openers: dict[str, list[dict[str, Value]]] = {}
        self._shared = {name: IntersectionSearchSpace(include_pruned=True) for name in self.studies}
        self._trials: dict[str, optuna.Trial] = {}
        self._seen: set[str] = set()
        searched = [record for record in records if record.phase == "search"]
        inside: dict[str, tuple[TrialSpec, TrialRecord]] = {}
        for record in searched:
            spec = self._spec_again(record)
            if spec is None:
                self.outside.append(record)
            else:
                inside[spec.id] = spec, record
        self._others = [*self.outside, *others]
        for spec, record in inside.values():
            self._remember(spec, record)

    @property
    def exhausted(self) -> bool:
        """Whether all trials are handed out."""
        return not self._interrupted and self._next_pair() is None

    @property
    def num_left(self) -> int:
        """Trials that are still to be handed out, unless a pair's space is used up before."""
        return len(self._interrupted) + max(0, self.space.budget.trials - sum(self.handed_out.values()))

    def next_spec(self) -> TrialSpec | None:
        """One that was interrupted, or else a new one for the pair whose turn it is; None when there are no more."""
        if self._interrupted:
            return self._interrupted.popleft()
        while (name := self._next_pair()) is not None:
            spec = self._ask(next(pair for pair in self.pairs if pair.name == name))
            if spec is not None:
                return spec
            self._used_up.add(name)
        return None

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Tell the study how a spec ended; its state there is its state in the ledger."""
        study, trial = self.studies[spec.pair.name], self._trials.pop(spec.id)
        for epoch, score in enumerate(record.curve, start=1):
            trial.report(score, epoch)
        value = record.metrics[self.space.objective.maximize] if record.state == "complete" else None
        study.tell(trial, value, state=STATES[record.state])
        self._finished.append(record)
        self._scores[spec.pair.name] += record.curve[-1:]

    def _next_pair(self) -> str | None:
        pairs = {
            name: PairScores(self.handed_out[name], self._scores[name], name in self._used_up) for name in self.studies
        }
        return ALLOCATIONS[self.space.allocation](self.space.budget.trials, pairs)

    def _ask(self, pair: Pair) -> TrialSpec | None:
        """None if only what was drawn before is drawn again: the space is used up."""
        openers = self._open(pair)
        while openers:
            if (spec := self._draw(pair, openers.pop(0))) is not None:
                return spec
        for attempt in range(MAX_DRAWS):
            if (spec := self._draw(pair, None, attempt)) is not None:
                return spec
        return None

    def _draw(self, pair: Pair, values: dict[str, Value] | None, attempt: int = 0) -> TrialSpec | None:
        """A spec with these values, or with what the sampler draws; None if there was such a spec before."""
        study = self.studies[pair.name]
        if values is not None:
            study.enqueue_trial(values)
        study.sampler = self._sampler(pair, attempt)
        trial = study.ask()
        if isinstance(study.sampler, BaseGASampler):
            study.sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[trial.number])
        spec = self._suggest(trial, pair)
        if spec.id in self._seen:
            trial.set_user_attr(REPEATED, True)
            study.tell(trial, state=TrialState.FAIL)
            return None
        self._hand_out(spec, trial)
        return spec

    def _suggest(self, trial: optuna.Trial, pair: Pair) -> TrialSpec:
        config = self.space.suggest(trial, pair.foundation, pair.target)
        return build_spec(config, phase="search", values=dict(trial.params))

    def _hand_out(self, spec: TrialSpec, trial: optuna.Trial) -> None:
        self._seen.add(spec.id)
        self._trials[spec.id] = trial
        self.handed_out[spec.pair.name] += 1
        trial.set_user_attr("id", spec.id)

    def _sampler(self, pair: Pair, attempt: int) -> BaseSampler:
        """The sampler of a pair's next trial; see `samplers` for why it is a new one each time.

        A genetic one has to see every trial, openers too, since it gives each its generation.
        """
        seed = (self.space.seed, self.pairs.index(pair), self.handed_out[pair.name], attempt)
        own = self.space.sampler == "nsga2" or attempt < OWN_DRAWS
        each = self.space.budget.trials // len(self.pairs)
        name = self.space.sampler if own else "random"
        return build_sampler(name, seed=seed, num_trials=each, shared=self._shared[pair.name])

    def _open(self, pair: Pair) -> list[dict[str, Value]]:
        """What is left of that with which a pair begins; decided when it begins."""
        if pair.name not in self._openers:
            own = [record for record in self._others if record.pair == pair]
            rest = [record for record in self._others if record.pair != pair]
            sisters = {record.pair.name: record for record in reversed(self._best(self._finished))}
            winners = [record for group in (own, rest, sisters.values()) for record in self._best(group)[:NUM_WINNERS]]
            wanted = [TrialConfig(), *(TrialConfig.model_validate(record.config) for record in winners)]
            openers = [self.space.values_near(config) for config in wanted]
            self._openers[pair.name] = [each for place, each in enumerate(openers) if each not in openers[:place]]
        return self._openers[pair.name]

    def _best(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """The finished ones, best first."""
        objective = self.space.objective.maximize
        return sorted(complete(records, phase="search"), key=lambda record: -record.metrics[objective])

    def _spec_again(self, record: TrialRecord) -> TrialSpec | None:
        """A record's spec in this space; None if it is outside."""
        try:
            config = TrialConfig.model_validate(record.config)
        except ValidationError:
            return None
        values = self.space.values_of(config)
        return None if values is None else build_spec(config, phase="search", values=values)

    def _remember(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Put a trial of the ledger back into its study, as it was asked for and on_progress."""
        openers = self._open(spec.pair)
        openers[:] = [values for values in openers if values != spec.values]
        again = self._draw(spec.pair, dict(spec.values))
        assert again is not None and again.id == spec.id, "its values give its configuration, and ids appear once"
        if record.state == "running":
            self._interrupted.append(spec)
        else:
            self.tell(spec, record)


def export_studies(studies: dict[str, optuna.Study], url: str) -> None:
    """Copy studies into a database, for optuna-dashboard."""
    for name, study in studies.items():
        copy = optuna.create_study(study_name=name, storage=url, directions=study.directions)
        copy.add_trials([trial for trial in study.trials if trial.state.is_finished()])
