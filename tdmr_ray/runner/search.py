"""A whole search: trials for every pair, then the confirmation of the best."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console

from tdmr_ray.models import WEIGHTS_FILE
from tdmr_ray.records import Ledger, Pair, TrialRecord, complete, note_weak_teachers
from tdmr_ray.run_layout import MODEL_CONFIG, RunLayout
from tdmr_ray.runner.confirmation import confirmation_specs, num_steps
from tdmr_ray.runner.costs import Costs
from tdmr_ray.runner.events import blank_record
from tdmr_ray.runner.loop import Interrupt, run_trials
from tdmr_ray.runner.progress import CONFIRMATION, SEARCH, Progress
from tdmr_ray.runner.schedulers import PairAsha
from tdmr_ray.runner.teacher_provider import resident_task, teacher_key_of
from tdmr_ray.runner.tensorboard import TensorBoardLog
from tdmr_ray.runner.weights import Copies
from tdmr_ray.space import Space
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.budget import Meter
from tdmr_ray.tuning.cache_aware_queue import CacheAwareQueue
from tdmr_ray.tuning.listener import Listener
from tdmr_ray.tuning.pruning import Rungs
from tdmr_ray.tuning.studies import PairStudies, export_studies
from tdmr_ray.tuning.trial_source import Queue, TrialSource
from tdmr_ray.tuning.trial_spec import TrialSpec


class LedgerWriter(Listener):
    """A listener that keeps the ledger: a line when a trial starts, at each rung that it passes, and when it ends.

    Args:
        layout: Of the search; an ended trial's checkpoint is removed.
        rungs: Epochs after which a running trial's record is written.
    """

    def __init__(self, layout: RunLayout, rungs: tuple[int, ...] = ()) -> None:
        self.ledger, self.layout, self.rungs = Ledger(layout.records), layout, rungs
        self.known = {record.id for record in self.ledger.read()}

    def started(self, spec: TrialSpec) -> None:
        """One line for a new trial, so that nothing that was drawn is lost."""
        if spec.id not in self.known:
            self.known.add(spec.id)
            self.ledger.append(blank_record(spec))

    def continued(self, spec: TrialSpec, record: TrialRecord) -> None:
        """One line at a rung."""
        if len(record.curve) in self.rungs:
            self.ledger.append(record)

    def ended(self, spec: TrialSpec, record: TrialRecord) -> None:
        """The last line."""
        self.ledger.append(record)
        self.layout.checkpoint(spec.id).remove()


class Search:
    """A search and its confirmation; what the ledger already holds is not run again. Needs a running Ray.

    Args:
        space: What is searched.
        layout: Where results go.
        store: Of teachers and decoded images.
        interrupt: Ends everything in order when it comes.
        on_message: Receives plain lines for the user.
        console: Shows the live table; None shows none.
        slots: Trials at the same time.
        costs: Of the targets.
        copies: Of weights, in the store.
        others: Trials of other searches, whose best each pair begins with.
        listeners: Notified of each start, epoch and end, after our own.
        reserve_s: Seconds of `budget.time` that are kept for the confirmation.
    """

    def __init__(
        self,
        space: Space,
        layout: RunLayout,
        store: Store,
        interrupt: Interrupt,
        *,
        on_message: Callable[[str], object],
        console: Console | None = None,
        slots: int,
        costs: Costs,
        copies: Copies = (),
        others: Sequence[TrialRecord] = (),
        listeners: tuple[Listener, ...] = (),
        reserve_s: float = 0.0,
    ) -> None:
        self.space, self.layout, self.store, self.interrupt = space, layout, store, interrupt
        self.objective, self.others, self.costs, self.slots = space.objective.maximize, others, costs, slots
        self.copies, self.ledger = copies, Ledger(layout.records)
        self.on_message, self.listeners = on_message, listeners
        self.meter = Meter(space.budget, reserve_s=reserve_s)
        self.progress = Progress(console or Console(quiet=True), self.objective, self.meter.summary)
        self.board = TensorBoardLog(layout.tensorboard, store, self.objective)
        self.outside: set[str] = set()

    def run(self) -> None:
        """Search, confirm, and put the winners under `best/`."""
        try:
            self._search()
            if not self.interrupt.came:
                self._confirm()
                self._note_weak_teachers()
        finally:
            self.progress.stop()
            self.board.close()
        self.layout.fetch_from_trials()
        collect_best(self.ledger.read(), self.layout)

    def _search(self) -> None:
        records = self.ledger.read()
        self.meter.count(record for record in records if record.phase == "search")
        studies = PairStudies(self.space, records, self.others)
        self._say_outside(studies.outside)
        self.progress.begin(SEARCH, list(studies.studies), studies.num_left)
        self.outside = {record.id for record in studies.outside}
        rungs = Rungs(self.space.budget.epochs, self._inside(records), self._pair_costs())
        self._run_trials(studies, rungs, self.meter, afterwards=self._planned)
        if self.meter.came and not studies.exhausted:
            self._say(f"{self.meter.reason}; with a larger one, --resume goes on where the search ended")
        self.layout.study.unlink(missing_ok=True)
        export_studies(studies.studies, f"sqlite:///{self.layout.study}")

    def _inside(self, records: list[TrialRecord]) -> list[TrialRecord]:
        return [record for record in records if record.id not in self.outside]

    def _pair_costs(self) -> dict[str, list[float]]:
        """What is minimised beside the score, for each pair; empty if nothing is. Each target has one size."""
        names = self.space.objective.minimize
        if not names:
            return {}
        labels = {target: self.space.target_versions(target)[0].label for target in self.space.pairs.by_name}
        return {
            Pair(foundation=foundation, target=target).name: [self.costs[labels[target]][name] for name in names]
            for foundation, target in self.space.all_pairs
        }

    def _confirm(self) -> None:
        specs = self._planned()
        if not specs:
            return
        work = {spec.id: float(num_steps(spec.config)) for spec in specs}
        self.progress.begin(CONFIRMATION, list(dict.fromkeys(spec.pair.name for spec in specs)), len(specs), work)
        self._run_trials(Queue(specs), Rungs(0))

    def _planned(self) -> list[TrialSpec]:
        """What is to be confirmed, as it looks now."""
        records = self.ledger.read()
        finished = {record.id for record in complete_of_any_role(records)}
        planned = confirmation_specs(self.space, finalists(self.space, self._inside(records)))
        return [spec for spec in planned if spec.id not in finished]

    def _note_weak_teachers(self) -> None:
        for record in note_weak_teachers(self.ledger.read()):
            self.ledger.append(record)
            self.board.noted(record)

    def _say_outside(self, outside: list[TrialRecord]) -> None:
        """List the trials that do not count any more."""
        if not outside:
            return
        names = ", ".join(record.id for record in outside)
        self._say(f"{len(outside)} earlier trials are outside the space and do not count; the best open it: {names}")

    def _say(self, text: str) -> None:
        self.progress.stop()
        self.on_message(text)

    def _run_trials(
        self,
        source: TrialSource,
        rungs: Rungs,
        meter: Meter | None = None,
        *,
        afterwards: Callable[[], list[TrialSpec]] = list,
    ) -> None:
        also = (meter,) if meter else ()
        run_trials(
            CacheAwareQueue(
                source,
                teacher_key_of,
                self.store.has,
                slots=self.slots,
                afterwards=afterwards,
            ),
            resources=self.space.resources,
            slots=self.slots,
            store=self.store,
            copies=self.copies,
            layout=self.layout,
            objective=self.objective,
            listeners=(LedgerWriter(self.layout, rungs.epochs), self.board, self.progress, *self.listeners, *also),
            stop_conditions=(self.interrupt, *also),
            scheduler=PairAsha(rungs, self.objective),
        )


def complete_of_any_role(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The finished records of the confirmation."""
    return [record for record in records if record.phase == "confirm" and record.state == "complete"]


def finalists(space: Space, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The best finished trials of each pair, by the objective on val."""
    found = complete(records, phase="search")
    best = []
    for foundation, target in space.all_pairs:
        own = [record for record in found if record.pair == Pair(foundation=foundation, target=target)]
        own.sort(key=lambda record: -record.metrics[space.objective.maximize])
        best += own[: space.confirm.top]
    return best


def collect_best(records: list[TrialRecord], layout: RunLayout) -> None:
    """Copy the confirmed target with the best val accuracy of each pair to `best/<pair>/`."""
    confirmed = [record for record in complete(records, phase="confirm") if record.artifacts]
    for name in dict.fromkeys(record.pair.name for record in confirmed):
        own = [record for record in confirmed if record.pair.name == name]
        winner = max(own, key=lambda record: record.metrics["val/top1"])
        weights = layout.finalists / winner.artifacts / WEIGHTS_FILE
        if weights.exists():
            write_best(winner, weights, layout.best / name)


def write_best(record: TrialRecord, weights: Path, folder: Path) -> None:
    """A folder that `tdmr_ray.predict` and `tdmr_ray.export` read: weights, configuration, preprocessing, classes."""
    config = TrialConfig.model_validate(record.config)
    task = resident_task(config)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, folder / WEIGHTS_FILE)
    description = {
        "record": record.id,
        "target": config.target.name,
        "class_names": task.class_names,
        "image_px": config.target.input_px or task.image_px,
        "preprocessing": "RGB, resize to image_px, divide by 255; mean and std are part of the network",
        "metrics": record.metrics,
        "config": record.config,
    }
    (folder / MODEL_CONFIG).write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")
