"""One trial in the process that runs it: an epoch a step, a checkpoint after each, and exceptions as its end."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from tdmr_ray.checksums import write_checked
from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError, NonFiniteLoss
from tdmr_ray.models import save_target
from tdmr_ray.models.weights import use_copies
from tdmr_ray.records import Note
from tdmr_ray.run_layout import VISUALIZATIONS
from tdmr_ray.runner.activities import Teller
from tdmr_ray.runner.failure import describe_failure
from tdmr_ray.runner.messages import Assignment, TrialReport
from tdmr_ray.runner.watchdog import watchdog
from tdmr_ray.runner.worker_context import WorkerContext
from tdmr_ray.training.activity import watched_by
from tdmr_ray.training.checkpoint import load_newest, save_checkpoint
from tdmr_ray.training.device import pick_device, used_precision
from tdmr_ray.training.fit import Outcome, Run
from tdmr_ray.training.visualizations import collect_visualizations
from tdmr_ray.training.workers import ALONE, Metrics, Workers


class Trial:
    """A trial that reports after each epoch.

    A trial that has a checkpoint continues from there: its first step trains nothing and reports the last epoch again,
    with the epochs before as `earlier`.

    Args:
        assignment: The trial.
        context: State of this process.
        workers: Group of workers that run this trial; the first of them writes files.
    """

    def __init__(self, assignment: Assignment, context: WorkerContext, workers: Workers = ALONE) -> None:
        self.spec, self.files, self.settings = assignment.spec, assignment.files, assignment.settings
        self.data_key, self.context, self.workers = assignment.data_key, context, workers
        self.run: Run | None = None
        self.seconds = 0.0
        self.history: list[Metrics] = []
        self.notes: list[Note] = []
        self.teller = Teller(context.activities, self.spec.id)
        context.provider.expect(self.spec.teacher_key)
        torch.set_num_threads(self.settings.threads)

    @property
    def reads_test(self) -> bool:
        """Whether the trial evaluates on test when it ends."""
        return self.spec.phase in ("confirm", "refit", "cv")

    @property
    def keeps_weights(self) -> bool:
        """Whether the trial's weights may ship."""
        return self.spec.phase in ("confirm", "refit")

    def step(self) -> TrialReport:
        """Run one epoch. An exception ends the trial with its reason; the process stays for the next trial.

        Exceptions are lack of memory, after which the process is not trusted, and, among several workers, anything
        that only one of them may have met: the others would wait for it. Both end the process.
        """
        shared = self.context.shared
        started, waited_s = perf_counter(), shared.waited_s
        try:
            stack = self.files.stack(self.spec.id)
            with (
                watchdog(self.settings.timeout_s, stack),
                use_copies(self.context.find_copy),
                watched_by(self.teller),
            ):
                report = self._epoch()
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # the one place where exceptions become a trial's state
            if self.workers.count > 1 and not isinstance(error, NonFiniteLoss | InputError):
                raise
            report = TrialReport(done=True, error=describe_failure(error, self.files.error(self.spec.id)))
            self.run = None
        if report.done:
            self.teller.stop()
        self.seconds += perf_counter() - started - (shared.waited_s - waited_s)
        return self._with_facts(report)

    def release(self) -> None:
        """Release the run and its teacher."""
        self.run = None
        self.context.provider.expect()

    def _epoch(self) -> TrialReport:
        if self.spec.only_teacher:
            self.context.provider(self.spec.config, self._task())
            return TrialReport(epoch=1, done=True)
        restored = False
        if self.run is None:
            task = self._task()
            if self.spec.phase == "confirm":
                self.notes += [Note(kind="data", text=text) for text in task.warnings]
            self.run = Run(self.spec.config, task, self.context.provider, self.workers)
            restored = self._restore(self.run)
        if not restored:
            self.history.append(self.run.run_epoch())
            self._save(self.run)
        metrics = self.history[-1]
        earlier = tuple(self.history[:-1]) if restored else ()
        report = TrialReport(epoch=int(metrics["epoch"]), done=self.run.done, metrics=metrics, earlier=earlier)
        if self.run.done and self.reads_test and self.workers.rank == 0:
            return self._finish(self.run, report)
        return report

    def _task(self) -> Task:
        return self.context.tasks.get(self.spec.config.data, key=self.data_key)

    def _restore(self, run: Run) -> bool:
        """Continue from a checkpoint; False if there is none that can be used."""
        checkpoint = self.files.checkpoint(self.spec.id)
        state, damage = load_newest(checkpoint, key=self.spec.id, data=run.task.fingerprint)
        if damage is not None:
            how = "started again" if state is None else "went on one epoch earlier"
            self.notes.append(Note(kind="checkpoint", text=f"the trial {how}: {damage}"))
        if state is None:
            return False
        run.restore(state["run"])
        self.history, self.seconds, self.context.provider.reused = state["history"], state["seconds"], state["reused"]
        return True

    def _save(self, run: Run) -> None:
        """Write a checkpoint; a trial whose checkpoint cannot be written continues without."""
        if self.workers.rank:
            return
        state = {
            "run": run.state(),
            "history": self.history,
            "seconds": self.seconds,
            "reused": self.context.provider.reused,
        }
        try:
            save_checkpoint(state, self.files.checkpoint(self.spec.id), key=self.spec.id, data=run.task.fingerprint)
        except OSError as error:
            note = Note(kind="checkpoint", text=f"no checkpoint could be written: {error.strerror or error}")
            self.notes += [note] if note not in self.notes else []

    def _finish(self, run: Run, report: TrialReport) -> TrialReport:
        """Evaluate on test, and keep the weights if they may ship."""
        outcome = run.finish(read_test=True)
        report = replace(report, metrics=outcome.metrics, artifacts=self._keep(run, outcome))
        if outcome.test is None:
            return report
        return replace(report, confusion=outcome.test.confusion, right=outcome.test.right)

    def _keep(self, run: Run, outcome: Outcome) -> str:
        """Write weights and visualizations; return the name of their directory, or ''."""
        if outcome.target is None or not self.keeps_weights:
            return ""
        directory = self.files.finalist(self.spec.id)
        with TemporaryDirectory() as scratch:
            save_target(outcome.target, Path(scratch))
            if outcome.artifact is not None:
                shown = collect_visualizations(run.config, run.task, outcome.artifact, outcome.target)
                write_checked(Path(scratch) / VISUALIZATIONS, shown)
            for path in Path(scratch).iterdir():
                (directory / path.name).send(path)
        return Path(directory.path).name

    def _with_facts(self, report: TrialReport) -> TrialReport:
        """Add what is true of the trial after any epoch."""
        device, provider = pick_device(), self.context.provider
        return replace(
            report,
            notes=(*self.notes, *(Note(kind="training", text=text) for text in (self.run.notes if self.run else ()))),
            seconds=self.seconds,
            teacher_key=provider.key,
            teacher_reused=provider.reused,
            teacher_seconds=provider.seconds,
            threads=torch.get_num_threads(),
            device=device.type,
            precision=used_precision(self.spec.config.precision, device),
            data=self.run.task.fingerprint if self.run else "",
            label_counts=self.run.task.label_counts if self.run else {},
        )
