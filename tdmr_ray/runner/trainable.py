"""A warm Tune actor that runs one trial after another; data and foundations stay in its memory."""

import json
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from ray import tune

from tdmr_ray.errors import InputError, NonFiniteLoss
from tdmr_ray.models import save_target
from tdmr_ray.places import Place
from tdmr_ray.runner.events import WornOut
from tdmr_ray.runner.hang import ended_after
from tdmr_ray.runner.leases import cluster_leases
from tdmr_ray.runner.programs import SharedStore, StoredFoundry, resident_task
from tdmr_ray.store import Store
from tdmr_ray.training.checkpoint import DamagedCheckpoint, load_checkpoint, save_checkpoint
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.distil import Metrics
from tdmr_ray.training.exhibits import EXHIBITS, collect_exhibits
from tdmr_ray.training.fit import Outcome, Run

MAX_TRIALS_PER_ACTOR = 100
"""Reused actors are known to leak GPU memory; after so many trials a fresh one takes over."""


class TrialActor(tune.Trainable):
    """One trial, an epoch a step.

    Its configuration is a dictionary: `id`, `config` (a `TrialConfig` as JSON), `pair` (name), `program` (the key of
    its teacher, if it is known), `only_teacher` (whether to make no more than that), `finalist` (whether to read test
    and keep the weights), `store`, `store_bytes` and `shared_store` (folder, limit, and place or ''), `artifacts` and
    `checkpoint` (places), `stack` (file), `timeout_s`, `threads`.

    After each epoch it writes a checkpoint. A trial that has one goes on from there: its first step says again how the
    last epoch ended, with the epochs before as `earlier`, and trains nothing.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Called by Tune in a fresh process."""
        self.num_trials = 0
        shared = Place(config["shared_store"]) if config["shared_store"] else None
        store = Store(Path(config["store"]), shared, config["store_bytes"])
        self.shared = SharedStore(store, cluster_leases())
        self.foundry = StoredFoundry(self.shared)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called by Tune before each further trial.

        Raises:
            WornOut: If it is one too many. To return False, which is Tune's word for it, would lose the trial.
        """
        self.num_trials += 1
        if self.num_trials > MAX_TRIALS_PER_ACTOR:
            raise WornOut(f"{MAX_TRIALS_PER_ACTOR} trials are enough for one process")
        self.job = new_config
        self.run: Run | None = None
        self.foundry.expect(new_config["program"])
        self.seconds = 0.0
        self.history: list[Metrics] = []
        self.notes: list[str] = []
        torch.set_num_threads(new_config["threads"])
        return True

    def step(self) -> dict[str, Any]:
        """One epoch. A trial that throws ends with its reason, and the process stays for the next one.

        Out of memory is the exception: the process is not trusted any more and goes.
        """
        started, waited_s = perf_counter(), self.shared.waited_s
        try:
            with ended_after(self.job["timeout_s"], Path(self.job["stack"])):
                result = self._epoch()
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - the one place where exceptions become a trial's state
            self.run = None
            result = {"metrics": {}, "epoch": 0, "error": _reason(error), "done": True}
        self.seconds += perf_counter() - started - (self.shared.waited_s - waited_s)
        return {**result, **self._facts()}

    def cleanup(self) -> None:
        """Called by Tune when the process ends."""
        self.run = None
        self.foundry.expect()

    def _epoch(self) -> dict[str, Any]:
        config = TrialConfig.model_validate(self.job["config"])
        if self.job["only_teacher"]:
            self.foundry(config, resident_task(config, self.shared))
            return {"metrics": {}, "epoch": 1, "error": "", "done": True, "earlier": []}
        restored = False
        if self.run is None:
            self.run = Run(config, resident_task(config, self.shared), self.foundry)
            restored = self._restore()
        earlier = self.history[:-1] if restored else []
        if not restored:
            self.history.append(self.run.run_epoch())
            self._save()
        metrics = self.history[-1]
        result = {"metrics": metrics, "epoch": int(metrics["epoch"]), "error": "", "done": self.run.done}
        if self.run.done and self.job["finalist"]:
            outcome = self.run.finish(read_test=True)
            result |= {"metrics": outcome.metrics, "confusion": outcome.test.confusion if outcome.test else None}
            result["artifacts"] = self._keep(outcome)
        return {**result, "earlier": earlier}

    def _restore(self) -> bool:
        """Go on from a checkpoint; False if there is none that can be used."""
        assert self.run is not None, "made just before"
        try:
            state = load_checkpoint(Place(self.job["checkpoint"]), key=self.job["id"])
        except DamagedCheckpoint as damage:
            self.notes.append(f"began anew: {damage}")
            state = None
        if state is None:
            return False
        self.run.restore(state["run"])
        self.history, self.seconds, self.foundry.reused = state["history"], state["seconds"], state["reused"]
        return True

    def _save(self) -> None:
        """Write a checkpoint; a trial whose checkpoint cannot be written goes on without."""
        assert self.run is not None, "an epoch has ended"
        state = {
            "run": self.run.state(),
            "history": self.history,
            "seconds": self.seconds,
            "reused": self.foundry.reused,
        }
        try:
            save_checkpoint(state, Place(self.job["checkpoint"]), key=self.job["id"])
        except OSError as error:
            note = f"no checkpoint could be written: {error.strerror or error}"
            self.notes += [note] if note not in self.notes else []

    def _keep(self, outcome: Outcome) -> str:
        """Write a finalist's weights and what a report shows of it; where they lie, or ''."""
        if outcome.target is None:
            return ""
        place = Place(self.job["artifacts"])
        with TemporaryDirectory() as scratch:
            save_target(outcome.target, Path(scratch))
            if outcome.program is not None:
                assert self.run is not None, "it has just finished"
                shown = collect_exhibits(self.run.config, self.run.task, outcome.program, outcome.target)
                (Path(scratch) / EXHIBITS).write_text(json.dumps(shown, ensure_ascii=False), encoding="utf-8")
            for path in Path(scratch).iterdir():
                (place / path.name).send(path)
        return Path(place.path).name

    def _facts(self) -> dict[str, Any]:
        return {
            "id": self.job["id"],
            "pair": self.job["pair"],
            "notes": self.notes,
            "seconds": self.seconds,
            "teacher": self.foundry.key,
            "teacher_reused": self.foundry.reused,
            "teacher_seconds": self.foundry.seconds,
            "threads": torch.get_num_threads(),
            "device": pick_device().type,
            "data": self.run.task.fingerprint if self.run else "",
        }


def _reason(error: Exception) -> str:
    """What a record says of an exception: the message alone if it is one of ours, else where it came from too."""
    if isinstance(error, NonFiniteLoss | InputError):
        return str(error)
    last, text = traceback.extract_tb(error.__traceback__)[-1], " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno}, in {last.name})"
