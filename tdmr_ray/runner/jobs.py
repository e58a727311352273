"""A job is one trial to be run; a source says which comes next."""

from dataclasses import dataclass, field
from typing import Protocol

from tdmr_ray.records import TDMR, Pair, Phase, TrialRecord
from tdmr_ray.runner.programs import resident_task
from tdmr_ray.space import Space, Value
from tdmr_ray.training.batches import batches_per_epoch
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.controls import CONTROLS


@dataclass(frozen=True)
class Job:
    """One trial to be run.

    Attributes:
        id: Phase and hash of the configuration.
        phase: `confirm` reads test at the end and keeps the weights.
        role: `tdmr` or a control.
        pair: Whose it is.
        config: What is done.
        values: The searched parameters, as Optuna drew them.
        program: Key of its teacher; '' if none takes part, or as long as nobody asked for it.
        only_teacher: Whether all that is to be done is to make its teacher; it has no record.
    """

    id: str
    phase: Phase
    role: str
    pair: Pair
    config: TrialConfig
    values: dict[str, Value] = field(default_factory=dict)
    program: str = ""
    only_teacher: bool = False


def build_job(config: TrialConfig, *, phase: Phase, role: str = TDMR, values: dict[str, Value] | None = None) -> Job:
    """A job whose id follows from phase and configuration."""
    pair = Pair(foundation=config.foundation.label, target=config.target.name)
    return Job(f"{phase}-{config.key()}", phase, role, pair, config, values or {})


class Source(Protocol):
    """Where jobs come from and results go to."""

    @property
    def exhausted(self) -> bool:
        """Whether there will be no more jobs."""

    @property
    def num_left(self) -> int:
        """How many jobs are still to be handed out."""

    def next_job(self) -> Job | None:
        """The next job, or None if there is none for now."""

    def tell(self, job: Job, record: TrialRecord) -> None:
        """How a job ended."""


class Queue:
    """A fixed list of jobs, in order."""

    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = list(reversed(jobs))

    @property
    def exhausted(self) -> bool:
        """Whether all were handed out."""
        return not self._jobs

    @property
    def num_left(self) -> int:
        """How many were not handed out yet."""
        return len(self._jobs)

    def next_job(self) -> Job | None:
        """The next one."""
        return self._jobs.pop() if self._jobs else None

    def tell(self, job: Job, record: TrialRecord) -> None:
        """Nothing depends on it."""


def confirmation_jobs(space: Space, finalists: list[TrialRecord]) -> list[Job]:
    """Each finalist and its controls with every seed; controls that pairs share appear once, the longest first."""
    jobs: dict[str, Job] = {}
    for seed in space.confirm.seeds:
        for record in finalists:
            config = TrialConfig.model_validate(record.config).model_copy(update={"seed": seed})
            task = resident_task(config)
            made = [build_job(config, phase="confirm", values=record.values)]
            for role in space.confirm.controls:
                control = CONTROLS[role](config, task, space.confirm.control_steps)
                made.append(build_job(control, phase="confirm", role=role))
            for job in made:
                jobs.setdefault(job.id, job)
    return sorted(jobs.values(), key=lambda job: -num_steps(job.config))


def num_steps(config: TrialConfig) -> int:
    """Optimisation steps of a job's target; a few for a linear probe, which has none."""
    task = resident_task(config)
    images = task.num_labeled if config.method == "scratch" else len(task.train)
    return config.num_epochs * batches_per_epoch(images, config.distill.batch_size)
