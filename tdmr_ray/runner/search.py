"""A whole search: trials for every pair, then the confirmation of the best.

The source of trials (`PairStudies`) and the early-stopping rule (`Rungs`) are chosen here; `runner/loop.py` describes
what another one must implement.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.console import Console

from tdmr_ray.ledger import Ledger
from tdmr_ray.models.cost import Costs
from tdmr_ray.records import TDMR, Pair, Phase, TrialRecord, note_weak_teachers
from tdmr_ray.run_layout import RunLayout
from tdmr_ray.runner.confirmation import PHASES, Confirmation
from tdmr_ray.runner.current_phase import CurrentPhase
from tdmr_ray.runner.guard import Guard, GuardedListener
from tdmr_ray.runner.interrupt import Interrupt
from tdmr_ray.runner.ledger_writer import LedgerWriter
from tdmr_ray.runner.loop import run_trials
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.runner.progress import TITLES, Progress
from tdmr_ray.runner.task_cache import TaskCache
from tdmr_ray.runner.teacher_provider import teacher_key_of
from tdmr_ray.runner.tensorboard import TensorBoardLog
from tdmr_ray.runner.weights import WeightCopy
from tdmr_ray.space import Space
from tdmr_ray.store import Store
from tdmr_ray.tuning.budget import Meter
from tdmr_ray.tuning.cache_aware_queue import CacheAwareQueue
from tdmr_ray.tuning.chain import Chain
from tdmr_ray.tuning.listener import Listener, SearchInfo
from tdmr_ray.tuning.pruning import Rungs
from tdmr_ray.tuning.studies import PairStudies, export_studies
from tdmr_ray.tuning.trial_source import Queue, TrialSource
from tdmr_ray.tuning.trial_spec import TrialSpec


class Search:
    """A search and its confirmation. Trials that the ledger already holds are not run again. Needs a running Ray.

    Args:
        space: The space.
        layout: Files of the search.
        store: Store of teachers and decoded images.
        interrupt: Ends everything in order.
        tasks: Decoded images.
        on_message: Receives plain lines for the user.
        console: Shows the live table; None shows none.
        slots: Trials at the same time.
        costs: Costs of the targets.
        copies: Copies of pretrained weights in the store.
        others: Trials of other searches; each pair begins with the best of them.
        listeners: Receive every event, after our own listeners. One that fails is left out.
        reserve_s: Seconds of `budget.time` that are kept for the confirmation.
    """

    def __init__(
        self,
        space: Space,
        layout: RunLayout,
        store: Store,
        interrupt: Interrupt,
        *,
        tasks: TaskCache,
        on_message: Callable[[str], object],
        console: Console | None = None,
        slots: int,
        costs: Costs,
        copies: tuple[WeightCopy, ...] = (),
        others: Sequence[TrialRecord] = (),
        listeners: tuple[Listener, ...] = (),
        reserve_s: float = 0.0,
    ) -> None:
        self.space, self.layout, self.store, self.interrupt = space, layout, store, interrupt
        self.objective, self.others, self.costs, self.slots = space.objective.metric, others, costs, slots
        self.settings = WorkerSettings.build(store, space.resources, copies)
        self.tasks, self.ledger = tasks, Ledger(layout.records)
        self.on_message = on_message
        self.meter = Meter(space.budget, reserve_s=reserve_s)
        self.progress = Progress(console or Console(quiet=True), self.objective, self.meter.summary)
        self.display = self._guard("the progress display", "display")
        self.board = TensorBoardLog(layout.tensorboard, store, self.objective)
        self.charts = self._guard("TensorBoard's log", "tensorboard")
        self.listeners = tuple(
            GuardedListener(listener, self._guard(f"the listener {listener.label}", f"listener-{number}"))
            for number, listener in enumerate(listeners)
        )
        self.phase = CurrentPhase()
        self.writer = LedgerWriter(layout, lambda: self.phase.epochs)
        self.search_data = tasks.get(space.data).fingerprint
        self.confirmation = Confirmation(space, tasks, self.search_data)

    @property
    def should_stop(self) -> bool:
        """Whether an interrupt ends everything, or the budget ends the search; see `StopCondition`."""
        return self.interrupt.should_stop or (self.phase.name == "search" and self.meter.should_stop)

    @property
    def is_patient(self) -> bool:
        """Whether running trials may complete their epoch; an interrupt limits how long that may take."""
        return self.interrupt.should_stop

    def run(self) -> None:
        """Search, then tune the rivals, confirm, refit and cross-validate.

        All phases run in the same processes, unless the budget ends the search, whose running trials end with it.
        """
        for listener in self.listeners:
            listener.search_begun(self._info())
        try:
            chain = Chain(self._phases())
            self._run_trials(chain)
            if not chain.exhausted and not self.interrupt.should_stop:
                chain.skip()
                self._run_trials(chain)
            if not self.interrupt.should_stop:
                self._note_weak_teachers()
        finally:
            self.display(self.progress.stop)
            self.charts(self.board.close)
        self.layout.fetch_from_trials()

    def reported(self, *, interrupted: bool) -> None:
        """Tell the listeners that the report is written."""
        for listener in self.listeners:
            listener.search_reported(interrupted=interrupted)

    def _info(self) -> SearchInfo:
        tree = self.space.model_dump(mode="json", exclude_defaults=True)
        records = tuple(self.ledger.read())
        return SearchInfo(self.space.name, self.layout.root, self.objective, tree, records)

    def _phases(self) -> Iterator[TrialSource]:
        """Yield the source of each phase's trials when the trials of the phase before have ended."""
        yield from self._search()
        for phase in PHASES if self.space.confirm.top else ():
            if not self.interrupt.should_stop:
                yield from self._after_search(phase)

    def _search(self) -> Iterator[TrialSource]:
        records = self.ledger.read()
        self.meter.count(each for each in records if each.phase == "search" and each.has_data(self.search_data))
        studies = PairStudies(self.space, records, self.others, search_data=self.search_data)
        self._report_outside(studies.outside)
        self._mark_outside(records, studies.outside)
        self.display(self.progress.begin, TITLES["search"], list(studies.studies), studies.num_left)
        rungs = Rungs(self.space.budget.epochs, self._inside(), costs=self._pair_costs())
        self.phase.begin("search", rungs)
        if not studies.exhausted:
            yield self._cache_aware(studies, afterwards=partial(self._left, "confirm"))
        if self.meter.should_stop and not studies.exhausted:
            self._message(f"{self.meter.reason}; with a larger one, --resume goes on where the search ended")
        export_studies(studies.studies, self.layout.study)

    def _mark_outside(self, records: list[TrialRecord], searched: list[TrialRecord]) -> None:
        """Note in the ledger which trials had other images, or are not in the space any more, or are again.

        Args:
            records: All records.
            searched: The trials of the search that are outside; the confirmation of their recipes is, too.
        """
        ids = {record.id for record in searched}
        inside = {record.recipe for record in records if record.phase == "search" and record.id not in ids}
        recipes = {record.recipe for record in searched} - inside
        for record in records:
            outside = record.id in ids or (record.role == TDMR and record.recipe in recipes)
            outside = outside or not record.has_data(self.search_data)
            if outside != record.outside:
                self.ledger.append(record.model_copy(update={"outside": outside}))

    def _inside(self) -> list[TrialRecord]:
        """Return the records of the ledger that count."""
        return [record for record in self.ledger.read() if not record.outside]

    def _pair_costs(self) -> dict[str, list[float]]:
        """The costs that are minimised beside the score, for each pair; empty if none are. Each target has one size."""
        names = self.space.objective.minimize
        if not names:
            return {}
        labels = {target: self.space.target_versions(target)[0].label for target in self.space.pairs.by_name}
        return {
            Pair(foundation=foundation, target=target).name: [self.costs[labels[target]][name] for name in names]
            for foundation, target in self.space.all_pairs
        }

    def _after_search(self, phase: Phase) -> Iterator[TrialSource]:
        """Yield the trials of a phase after the search that are left; those of `tune` may be stopped early."""
        specs = self._left(phase)
        if not specs:
            return
        work = {spec.id: self.confirmation.work(spec) for spec in specs}
        names = list(dict.fromkeys(spec.pair.name for spec in specs))
        self.display(self.progress.begin, TITLES[phase], names, len(specs), work)
        tunes = phase == "tune"
        self.phase.begin(phase, Rungs(self.space.budget.epochs, self.ledger.read(), phase=phase) if tunes else None)
        yield self._cache_aware(Queue(specs))

    def _left(self, phase: Phase) -> list[TrialSpec]:
        """Return the trials of a phase that are left, for the finalists as they are now."""
        return self.confirmation.left(phase, self._inside())

    def _note_weak_teachers(self) -> None:
        for record in note_weak_teachers(self.ledger.read()):
            self.ledger.append(record)
            self.charts(self.board.noted, record)

    def _report_outside(self, outside: list[TrialRecord]) -> None:
        """List the trials that do not count any more."""
        for same, rule in ((True, "are outside the space"), (False, "had other images")):
            found = [record for record in outside if record.has_data(self.search_data) == same]
            if found:
                names = ", ".join(record.id for record in found)
                self._message(f"{len(found)} earlier trials {rule} and do not count; the best open it: {names}")

    def _message(self, text: str) -> None:
        self.display(self.progress.stop)
        self.on_message(text)

    def _guard(self, name: str, file: str) -> Guard:
        return Guard(name, self.on_message, self.layout.error(file))

    def _cache_aware(self, source: TrialSource, afterwards: Callable[[], list[TrialSpec]] = list) -> CacheAwareQueue:
        key_of = partial(teacher_key_of, tasks=self.tasks)
        return CacheAwareQueue(source, key_of, self.store.has, slots=self.slots, afterwards=afterwards)

    def _run_trials(self, source: TrialSource) -> None:
        run_trials(
            source,
            resources=self.space.resources,
            settings=self.settings,
            slots=self.slots,
            layout=self.layout,
            objective=self.objective,
            listeners=(
                self.writer,
                GuardedListener(self.board, self.charts),
                GuardedListener(self.progress, self.display),
                *self.listeners,
                self.meter,
            ),
            stop_conditions=(self,),
            pruner=self.phase,
        )
