"""In which order jobs start: first those whose teacher is there, then those whose teacher nobody is making.

Jobs that are drawn together know the same of the search, so they are equally promising and their order is free.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from tdmr_ray.records import TrialRecord
from tdmr_ray.runner.jobs import Job, Source
from tdmr_ray.training.config import TrialConfig

MAX_AHEAD = 8


class TeachersFirst:
    """A source that draws a few jobs of another source ahead and hands out first what need not wait for a teacher.

    A job that was passed over as often as there are jobs ahead is next. When the other source is exhausted while its
    jobs still run, idle slots get teachers to make that will be needed afterwards. With one slot nothing is reordered.

    Args:
        source: Of the jobs.
        key_of: The key of the program that a configuration needs, '' if it needs none.
        has: Whether a program is in the store.
        slots: Jobs at the same time.
        afterwards: The jobs that come after this source's, as far as they can be told; asked once, at its end.
    """

    def __init__(
        self,
        source: Source,
        key_of: Callable[[TrialConfig], str],
        has: Callable[[str], bool],
        *,
        slots: int,
        afterwards: Callable[[], Iterable[Job]] = tuple,
    ) -> None:
        self.source, self.key_of, self.has, self.afterwards = source, key_of, has, afterwards
        self.ahead = min(slots // 2, MAX_AHEAD)
        self._drawn: list[Job] = []
        self._passed_over: dict[str, int] = {}
        self._running: dict[str, str] = {}
        self._teachers: list[Job] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether all jobs were handed out."""
        return not self._drawn and self.source.exhausted

    @property
    def num_left(self) -> int:
        """How many were not handed out yet."""
        return len(self._drawn) + self.source.num_left

    def next_job(self) -> Job | None:
        """Of the jobs that are drawn, the one that begins soonest."""
        while len(self._drawn) <= self.ahead and (job := self.source.next_job()) is not None:
            self._drawn.append(self._with_key(job))
        job = self._take() if self._drawn else self._next_teacher()
        if job is not None:
            self._running[job.id] = job.program
        return job

    def tell(self, job: Job, record: TrialRecord) -> None:
        """Passed on, unless only a teacher was made."""
        self._running.pop(job.id, None)
        if not job.only_teacher:
            self.source.tell(job, record)

    def _with_key(self, job: Job) -> Job:
        return replace(job, program=self.key_of(job.config))

    def _take(self) -> Job:
        patient = [job for job in self._drawn if self._passed_over.get(job.id, 0) >= self.ahead]
        chosen = patient[0] if patient else min(self._drawn, key=self._wait)
        for job in self._drawn[: self._drawn.index(chosen)]:
            self._passed_over[job.id] = self._passed_over.get(job.id, 0) + 1
        self._drawn.remove(chosen)
        return chosen

    def _wait(self, job: Job) -> int:
        if not job.program or self.has(job.program):
            return 0
        return 2 if job.program in self._running.values() else 1

    def _next_teacher(self) -> Job | None:
        """A teacher for afterwards, while there is still somebody to wait for."""
        if not self._running or not self.source.exhausted:
            return None
        if self._teachers is None:
            needed = [self._with_key(job) for job in self.afterwards()]
            missing = {job.program: job for job in needed if self._wait(job) == 1}
            self._teachers = [replace(job, id=f"teacher-{key}", only_teacher=True) for key, job in missing.items()]
        return self._teachers.pop(0) if self._teachers else None
