"""Who makes which teacher: the first trial that needs one; the others wait for it and take it from the store."""

from time import perf_counter

from filelock import FileLock

from tdmr_ray.data.task import Task
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.program import Program, load_program, make_program, program_key, save_program


class StoredFoundry:
    """Takes programs out of a store and puts new ones in.

    Only one process of a machine makes a program at a time; its lock goes with the process, so that a dead one holds
    nobody up.

    Attributes:
        key: Of the last program.
        reused: Whether the last program was there already.
        waited_s: How long another process kept it waiting for the last program.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.key, self.reused, self.waited_s = "", False, 0.0

    def __call__(self, config: TrialConfig, task: Task) -> Program:
        """The program of a trial, made if it is not there."""
        self.key = program_key(config, task.fingerprint)
        started = perf_counter()
        with FileLock(self.store.local / f"{self.key}.lock"):
            self.waited_s = perf_counter() - started
            folder = self.store.find(self.key)
            self.reused = folder is not None
            if folder is None:
                program = make_program(config, task)
                folder = self.store.add(self.key, lambda draft: save_program(program, draft))
            return load_program(folder)
