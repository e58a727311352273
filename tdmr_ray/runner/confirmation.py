"""The protocol after the search: which trials tune the rivals, confirm, refit and cross-validate."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from statistics import median

from tdmr_ray.data.task import Task
from tdmr_ray.records import Pair, Phase, TrialRecord, complete
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.space import Space
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import Control, build_control
from tdmr_ray.training.steps import num_steps, with_steps
from tdmr_ray.tuning.ranking import rank
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec

PHASES: tuple[Phase, ...] = ("tune", "confirm", "refit", "cv")
"""Phases after the search, in their order; each depends on the records of those before."""


class Confirmation:
    """Plans the trials that follow a search from the records so far, so that a resumed search plans the same ones.

    - `tune` chooses the learning rate of each rival with as many trials as the pair had, each as long as a trial of the
      search, and stopped early by the same rule.
    - `confirm` trains finalists and rivals for the same number of steps. Each seed draws the labelled images, the
      division into train and val and the initial weights anew, and reads test.
    - `refit` trains them again with the labels of val, to the share of the schedule that val chose.
    - `cv` trains them on all folds but one, and measures on that one.

    Args:
        space: The space.
        tasks: Its images.
        search_data: Fingerprint of the search's images; part of the trials' ids.
    """

    def __init__(self, space: Space, tasks: TaskCache, search_data: str = "") -> None:
        self.space, self.confirm, self.tasks = space, space.confirm, tasks
        self._spec = partial(build_spec, search_data=search_data)
        self.controls = [build_control(settings) for settings in space.confirm.controls]
        self._plans: dict[Phase, Callable[[Sequence[TrialRecord]], Iterator[TrialSpec]]] = {
            "tune": self._tune,
            "confirm": self._confirm,
            "refit": self._refit,
            "cv": self._cross_validate,
        }

    def left(self, phase: Phase, records: Sequence[TrialRecord]) -> list[TrialSpec]:
        """Return the trials of a phase that are not finished, the longest first.

        Args:
            phase: One of `PHASES`.
            records: The records of the search, without trials that do not count any more.
        """
        finished = {record.id for record in records if record.state in ("complete", "pruned")}
        specs = {spec.id: spec for spec in self._plans[phase](records) if spec.id not in finished}
        return sorted(specs.values(), key=lambda spec: -self.work(spec))

    def work(self, spec: TrialSpec) -> float:
        """Return the length of a trial in optimisation steps."""
        return float(num_steps(spec.config, self._task(spec.config)))

    def _tune(self, records: Sequence[TrialRecord]) -> Iterator[TrialSpec]:
        for finalist in choose_finalists(self.space, records):
            for control in self.controls:
                for config in self._rates(finalist, control, records):
                    yield self._spec(config, phase="tune", role=control.config.kind)

    def _confirm(self, records: Sequence[TrialRecord]) -> Iterator[TrialSpec]:
        for finalist in choose_finalists(self.space, records):
            searched = TrialConfig.model_validate(finalist.config)
            for seed in self.confirm.seeds:
                config = self._redrawn(searched, seed)
                task = self._task(config)
                longer = with_steps(config, task, self.confirm.steps)
                yield self._spec(longer, phase="confirm", values=finalist.values)
                for control in self.controls:
                    rival = control.configure(longer, task, self.confirm.steps)
                    rate = self._best_rate(finalist, control, records)
                    rival = rival if rate is None else rival.replace(distill__lr=rate)
                    yield self._spec(rival, phase="confirm", role=control.config.kind)

    def _refit(self, records: Sequence[TrialRecord]) -> Iterator[TrialSpec]:
        if not self.confirm.refit:
            return
        for group in _recipes(records):
            share = _chosen_share(group)
            for record in group:
                yield self._again(record, share, join="val")
            if self.confirm.refit == "all":
                yield self._again(group[0], share, join="all")

    def _cross_validate(self, records: Sequence[TrialRecord]) -> Iterator[TrialSpec]:
        folds = self.confirm.cv_folds or 0
        for group in _recipes(records):
            for fold in range(folds):
                yield self._again(group[0], _chosen_share(group), phase="cv", draw=0, folds=folds, fold=fold)

    def _again(self, record: TrialRecord, share: float, *, phase: Phase = "refit", **data: object) -> TrialSpec:
        """Return a confirmed trial with other images, to a share of its schedule and without a val split."""
        config = TrialConfig.model_validate(record.config)
        config = config.model_copy(update={"data": config.data.model_copy(update=data)})
        config = with_steps(config, self._task(config), self.confirm.steps)
        config = config.replace(distill__patience=1.0, distill__stop_at=share)
        return self._spec(config, phase=phase, role=record.role, values=record.values)

    def _redrawn(self, config: TrialConfig, seed: int) -> TrialConfig:
        return config.replace(seed=seed, data__draw=seed + 1, distill__patience=self.confirm.patience)

    def _rates(self, finalist: TrialRecord, control: Control, records: Sequence[TrialRecord]) -> list[TrialConfig]:
        """Return a rival's configurations with different learning rates, each as long as a trial of the search."""
        count = self.confirm.rival_trials
        if count is None:
            count = sum(record.phase == "search" and record.pair == finalist.pair for record in records)
        if not control.trains or count < 2:
            return []
        config = TrialConfig.model_validate(finalist.config)
        task = self._task(config)
        return control.rates(control.configure(config, task, num_steps(config, task)), count)

    def _best_rate(self, finalist: TrialRecord, control: Control, records: Sequence[TrialRecord]) -> float | None:
        """Return the learning rate that val chose for a rival; None leaves its default."""
        ids = {self._spec(config, phase="tune").id for config in self._rates(finalist, control, records)}
        found = [record for record in complete(records, phase="tune", role=control.config.kind) if record.id in ids]
        if not found:
            return None
        best = max(found, key=rank)
        return float(best.config["distill"]["lr"])

    def _task(self, config: TrialConfig) -> Task:
        return self.tasks.get(config.data)


def choose_finalists(space: Space, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the best finished trials of each pair, by the objective on val."""
    found = complete(records, phase="search")
    best = []
    for foundation, target in space.all_pairs:
        own = [record for record in found if record.pair == Pair(foundation=foundation, target=target)]
        best += sorted(own, key=rank, reverse=True)[: space.confirm.top]
    return best


def _recipes(records: Iterable[TrialRecord]) -> list[list[TrialRecord]]:
    """Return the confirmed trials of each finalist and rival, in the order of their seeds."""
    groups: dict[str, list[TrialRecord]] = defaultdict(list)
    for record in records:
        if record.phase == "confirm" and record.state == "complete":
            groups[record.recipe].append(record)
    return [sorted(group, key=lambda record: record.seed) for group in groups.values()]


def _chosen_share(group: Sequence[TrialRecord]) -> float:
    """Return the median share of the schedule at which val was best; 1 for a method without a schedule."""
    shares = [
        record.metrics["best_epoch"] / record.config["distill"]["epochs"]
        for record in group
        if "best_epoch" in record.metrics
    ]
    return median(shares) if shares else 1.0
