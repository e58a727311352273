"""One trial in the process that runs it: an epoch a step, a checkpoint after each, and exceptions as its end."""

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch

from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError, NonFiniteLoss
from tdmr_ray.models import save_target
from tdmr_ray.records import Note
from tdmr_ray.run_layout import VISUALIZATIONS
from tdmr_ray.runner.leases import cluster_leases
from tdmr_ray.runner.teacher_provider import SharedStore, StoredTeacherProvider, resident_task
from tdmr_ray.runner.watchdog import watchdog
from tdmr_ray.runner.weights import Copies, take_copies
from tdmr_ray.space import Resources
from tdmr_ray.storage import StoragePath
from tdmr_ray.store import Store
from tdmr_ray.training.checkpoint import DamagedCheckpoint, load_checkpoint, save_checkpoint
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device, used_precision
from tdmr_ray.training.fit import Outcome, Run
from tdmr_ray.training.visualizations import collect_visualizations
from tdmr_ray.training.workers import ALONE, Metrics, Workers


def place_of_trials(store: Store, resources: Resources, copies: Copies = ()) -> dict[str, Any]:
    """What a process must know besides its spec; see `Trial`."""
    return {
        "store": str(store.local),
        "store_bytes": store.max_bytes,
        "shared_store": str(store.shared or ""),
        "copies": list(copies),
        "threads": resources.cpu,
        "gpu": resources.gpu_share,
        "workers": resources.workers,
        "min_workers": resources.min_workers,
        "reprogram_workers": resources.reprogram_workers,
        "timeout_s": resources.trial_timeout,
    }


class Shop:
    """What a process keeps from one trial to the next.

    Args:
        spec: The first; see `Trial`.
        make: Makes a artifact's folder in the store; None makes it in this process.
    """

    def __init__(self, spec: dict[str, Any], make: Callable[[TrialConfig, str], Path] | None = None) -> None:
        shared = StoragePath(spec["shared_store"]) if spec["shared_store"] else None
        self.shared = SharedStore(Store(Path(spec["store"]), shared, spec["store_bytes"]), cluster_leases())
        self.provider = StoredTeacherProvider(self.shared, make)
        take_copies(spec["copies"], self.shared)


class Trial:
    """A trial that says after each epoch how it stands.

    A trial that has a checkpoint goes on from there: its first step says again how the last epoch ended, with the
    epochs before as `earlier`, and trains nothing.

    Args:
        spec: `id`, `config` (a `TrialConfig` as JSON), `pair` (name), `artifact` (the key of its teacher, if it is
            known), `only_teacher` (whether to make no more than that), `finalist` (whether to read test and keep the
            weights), `store`, `store_bytes` and `shared_store` (folder, limit, and place or ''), `copies` (of weights,
            in the store), `artifacts` and `checkpoint` (places), `stack` (file), `timeout_s`, `threads` and `gpu` (of
            each worker), `workers`, `min_workers` and `reprogram_workers`, `notes` (Ray Train's place), `data` (key of
            the images).
        shop: Of this process.
        workers: Who else runs this trial; the first of them writes.
    """

    def __init__(self, spec: dict[str, Any], shop: Shop, workers: Workers = ALONE) -> None:
        self.spec, self.shared, self.provider, self.workers = spec, shop.shared, shop.provider, workers
        self.run: Run | None = None
        self.provider.expect(spec["artifact"])
        self.seconds = 0.0
        self.history: list[Metrics] = []
        self.notes: list[Note] = []
        torch.set_num_threads(spec["threads"])

    def step(self) -> dict[str, Any]:
        """One epoch. A trial that throws ends with its reason, and the process stays for the next one.

        Out of memory, where parts of a batch are too large as well, is the exception: the process is not trusted any
        more and goes. So is what only one of several workers may have met: the others would wait for it.
        """
        started, waited_s = perf_counter(), self.shared.waited_s
        try:
            with watchdog(self.spec["timeout_s"], Path(self.spec["stack"])):
                result = self._epoch()
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # the one place where exceptions become a trial's state
            if self.workers.count > 1 and not isinstance(error, NonFiniteLoss | InputError):
                raise
            self.run = None
            result = {"metrics": {}, "epoch": 0, "error": _reason(error), "done": True, "earlier": []}
        self.seconds += perf_counter() - started - (self.shared.waited_s - waited_s)
        return {**result, **self._facts()}

    def leave(self) -> None:
        """Let go of everything."""
        self.run = None
        self.provider.expect()

    def _epoch(self) -> dict[str, Any]:
        config = TrialConfig.model_validate(self.spec["config"])
        if self.spec["only_teacher"]:
            self.provider(config, self._images(config))
            return {"metrics": {}, "epoch": 1, "error": "", "done": True, "earlier": []}
        restored = False
        if self.run is None:
            task = self._images(config)
            self.notes += [Note(kind="data", text=text) for text in task.notes if self.spec["finalist"]]
            self.run = Run(config, task, self.provider, self.workers)
            restored = self._restore()
        earlier = self.history[:-1] if restored else []
        if not restored:
            self.history.append(self.run.run_epoch())
            self._save()
        metrics = self.history[-1]
        result = {"metrics": metrics, "epoch": int(metrics["epoch"]), "error": "", "done": self.run.done}
        if self.run.done and self.spec["finalist"] and self.workers.rank == 0:
            outcome = self.run.finish(read_test=True)
            result |= {"metrics": outcome.metrics, "confusion": outcome.test.confusion if outcome.test else None}
            result["artifacts"] = self._keep(outcome)
        return {**result, "earlier": earlier}

    def _images(self, config: TrialConfig) -> Task:
        return resident_task(config, self.shared, key=self.spec["data"])

    def _restore(self) -> bool:
        """Go on from a checkpoint; False if there is none that can be used."""
        assert self.run is not None, "made just before"
        try:
            state = load_checkpoint(StoragePath(self.spec["checkpoint"]), key=self.spec["id"])
        except DamagedCheckpoint as damage:
            self.notes.append(Note(kind="checkpoint", text=f"the trial started again: {damage}"))
            state = None
        if state is None:
            return False
        self.run.restore(state["run"])
        self.history, self.seconds, self.provider.reused = state["history"], state["seconds"], state["reused"]
        return True

    def _save(self) -> None:
        """Write a checkpoint; a trial whose checkpoint cannot be written goes on without."""
        assert self.run is not None, "an epoch has ended"
        if self.workers.rank:
            return
        state = {
            "run": self.run.state(),
            "history": self.history,
            "seconds": self.seconds,
            "reused": self.provider.reused,
        }
        try:
            save_checkpoint(state, StoragePath(self.spec["checkpoint"]), key=self.spec["id"])
        except OSError as error:
            note = Note(kind="checkpoint", text=f"no checkpoint could be written: {error.strerror or error}")
            self.notes += [note] if note not in self.notes else []

    def _keep(self, outcome: Outcome) -> str:
        """Write a finalist's weights and what a report shows of it; where they lie, or ''."""
        if outcome.target is None:
            return ""
        place = StoragePath(self.spec["artifacts"])
        with TemporaryDirectory() as scratch:
            save_target(outcome.target, Path(scratch))
            if outcome.artifact is not None:
                assert self.run is not None, "it has just finished"
                shown = collect_visualizations(self.run.config, self.run.task, outcome.artifact, outcome.target)
                (Path(scratch) / VISUALIZATIONS).write_text(json.dumps(shown, ensure_ascii=False), encoding="utf-8")
            for path in Path(scratch).iterdir():
                (place / path.name).send(path)
        return Path(place.path).name

    def _facts(self) -> dict[str, Any]:
        device = pick_device()
        return {
            "id": self.spec["id"],
            "pair": self.spec["pair"],
            "notes": [
                *self.notes,
                *(Note(kind="training", text=text) for text in (self.run.notes if self.run else ())),
            ],
            "seconds": self.seconds,
            "teacher": self.provider.key,
            "teacher_reused": self.provider.reused,
            "teacher_seconds": self.provider.seconds,
            "threads": torch.get_num_threads(),
            "device": device.type,
            "precision": used_precision(self.spec["config"]["precision"], device),
            "data": self.run.task.fingerprint if self.run else "",
        }


def _reason(error: Exception) -> str:
    """What a record says of an exception: the message alone if it is one of ours, else where it came from too."""
    if isinstance(error, NonFiniteLoss | InputError):
        return str(error)
    last, text = traceback.extract_tb(error.__traceback__)[-1], " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno}, in {last.name})"
