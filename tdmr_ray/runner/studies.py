"""Our Optuna searcher: one study for each pair, in the driver's memory, by ask and tell.

A trial that was stopped early is told as PRUNED with its intermediate values; Ray's own OptunaSearch tells it as
COMPLETE with the score of its last epoch. Knows nothing about Ray.
"""

import warnings
from collections.abc import Iterable

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from tdmr_ray.records import Pair, TrialRecord
from tdmr_ray.runner.jobs import Job, build_job
from tdmr_ray.space import Parameter, Space

MAX_REPEATS = 20
REPEATED = "repeated"
"""Marks a trial in Optuna whose configuration was drawn before; it was not run and has no record."""
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class PairStudies:
    """Hands out the search's jobs, pair by pair in turn, and learns from how they end.

    The first job of a pair has the default configuration (or the nearest to it that the space allows). A
    configuration that was drawn before is not run again.

    Args:
        space: What is searched.
        records: Of an earlier part of the same search; their trials count.
    """

    def __init__(self, space: Space, records: Iterable[TrialRecord] = ()) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.space = space
        self.pairs = [Pair(foundation=foundation, target=target) for foundation, target in space.all_pairs]
        self.studies = {pair.name: self._new_study(index, pair) for index, pair in enumerate(self.pairs)}
        self.handed_out = dict.fromkeys(self.studies, 0)
        self.quota = share(space.budget.trials, list(self.studies))
        self._trials: dict[str, optuna.Trial] = {}
        self._seen: set[str] = set()
        for record in records:
            self._remember(record)
        for pair in self.pairs:
            if self.handed_out[pair.name] == 0:
                self.studies[pair.name].enqueue_trial(space.default_values())

    @property
    def exhausted(self) -> bool:
        """Whether every pair got its trials."""
        return self.num_left == 0

    @property
    def num_left(self) -> int:
        """Trials that are still to be handed out."""
        return sum(self.quota[name] - self.handed_out[name] for name in self.studies)

    def next_job(self) -> Job | None:
        """A new configuration for the pair that got the smallest part of its share; None when all have theirs."""
        open_pairs = [pair for pair in self.pairs if self.handed_out[pair.name] < self.quota[pair.name]]
        if not open_pairs:
            return None
        pair = min(open_pairs, key=lambda pair: self.handed_out[pair.name] / self.quota[pair.name])
        job = self._ask(pair)
        if job is None:
            self.quota[pair.name] = self.handed_out[pair.name]
            return self.next_job()
        self.handed_out[pair.name] += 1
        return job

    def tell(self, job: Job, record: TrialRecord) -> None:
        """Tell the study how a job ended; its state there is its state in the ledger."""
        study, trial = self.studies[job.pair.name], self._trials.pop(job.id)
        for epoch, score in enumerate(record.curve, start=1):
            trial.report(score, epoch)
        value = record.metrics[self.space.objective.maximize] if record.state == "complete" else None
        study.tell(trial, value, state=STATES[record.state])

    def _ask(self, pair: Pair) -> Job | None:
        """None if the sampler keeps drawing what was drawn before: the space is used up."""
        study = self.studies[pair.name]
        for _ in range(MAX_REPEATS):
            trial = study.ask()
            config = self.space.suggest(trial, pair.foundation, pair.target)
            job = build_job(config, phase="search", values=dict(trial.params))
            if job.id not in self._seen:
                self._seen.add(job.id)
                self._trials[job.id] = trial
                return job
            trial.set_user_attr(REPEATED, True)
            study.tell(trial, state=TrialState.FAIL)
        return None

    def _remember(self, record: TrialRecord) -> None:
        """Put a finished trial of the ledger back into its study."""
        study = self.studies.get(record.pair.name)
        if study is None or record.phase != "search":
            return
        distributions = {
            name: distribution(self.space.search[name]) for name in record.values if name in self.space.search
        }
        if len(distributions) < len(record.values):
            return
        study.add_trial(
            create_trial(
                state=STATES[record.state],
                value=record.metrics[self.space.objective.maximize] if record.state == "complete" else None,
                params=record.values,
                distributions=distributions,
                intermediate_values=dict(enumerate(record.curve, start=1)),
            )
        )
        self._seen.add(record.id)
        self.handed_out[record.pair.name] += 1

    def _new_study(self, index: int, pair: Pair) -> optuna.Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=self.space.seed * 1000 + index,
                n_startup_trials=max(4, self.space.budget.trials // (4 * len(self.pairs))),
                constant_liar=True,
            )
        return optuna.create_study(study_name=pair.name, direction="maximize", sampler=sampler)


def share(total: int, names: list[str]) -> dict[str, int]:
    """Divide a number of trials equally; the first names get what is left over."""
    each, left = divmod(total, len(names))
    return {name: each + (index < left) for index, name in enumerate(names)}


def distribution(parameter: Parameter) -> BaseDistribution:
    """A parameter as Optuna stores it."""
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.choices)
    low, high = parameter.low, parameter.high
    assert low is not None and high is not None, "checked when the file was read"
    if parameter.is_int:
        return IntDistribution(int(low), int(high), step=int(parameter.step or 1), log=parameter.log)
    return FloatDistribution(low, high, step=parameter.step, log=parameter.log)


def export_studies(studies: dict[str, optuna.Study], url: str) -> None:
    """Copy studies into a database, for optuna-dashboard."""
    for name, study in studies.items():
        copy = optuna.create_study(study_name=name, storage=url, directions=study.directions)
        copy.add_trials([trial for trial in study.trials if trial.state.is_finished()])
