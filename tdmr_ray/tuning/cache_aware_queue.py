"""In which order specs start: first those whose teacher is there, then those whose teacher nobody is making.

Jobs that are drawn together know the same of the search, so they are equally promising and their order is free.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from tdmr_ray.records import TrialRecord
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.trial_spec import Source, TrialSpec

MAX_AHEAD = 8


class CacheAwareQueue:
    """A source that draws a few specs of another source ahead and hands out first what need not wait for a teacher.

    A spec that was passed over as often as there are specs ahead is next. When the other source is exhausted while its
    specs still run, idle slots get teachers to make that will be needed afterwards. With one slot nothing is reordered.

    Args:
        source: Of the specs.
        key_of: The key of the artifact that a configuration needs, '' if it needs none.
        has: Whether a artifact is in the store.
        slots: Jobs at the same time.
        afterwards: The specs that come after this source's, as far as they can be on_progress; asked once, at its end.
    """

    def __init__(
        self,
        source: Source,
        key_of: Callable[[TrialConfig], str],
        has: Callable[[str], bool],
        *,
        slots: int,
        afterwards: Callable[[], Iterable[TrialSpec]] = tuple,
    ) -> None:
        self.source, self.key_of, self.has, self.afterwards = source, key_of, has, afterwards
        self.ahead = min(slots // 2, MAX_AHEAD)
        self._drawn: list[TrialSpec] = []
        self._passed_over: dict[str, int] = {}
        self._running: dict[str, str] = {}
        self._teachers: list[TrialSpec] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether all specs were handed out."""
        return not self._drawn and self.source.exhausted

    @property
    def num_left(self) -> int:
        """How many were not handed out yet."""
        return len(self._drawn) + self.source.num_left

    def next_spec(self) -> TrialSpec | None:
        """Of the specs that are drawn, the one that begins soonest."""
        while len(self._drawn) <= self.ahead and (spec := self.source.next_spec()) is not None:
            self._drawn.append(self._with_key(spec))
        spec = self._take() if self._drawn else self._next_teacher()
        if spec is not None:
            self._running[spec.id] = spec.artifact
        return spec

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Passed on, unless only a teacher was made."""
        self._running.pop(spec.id, None)
        if not spec.only_teacher:
            self.source.tell(spec, record)

    def _with_key(self, spec: TrialSpec) -> TrialSpec:
        return replace(spec, artifact=self.key_of(spec.config))

    def _take(self) -> TrialSpec:
        patient = [spec for spec in self._drawn if self._passed_over.get(spec.id, 0) >= self.ahead]
        chosen = patient[0] if patient else min(self._drawn, key=self._wait)
        for spec in self._drawn[: self._drawn.index(chosen)]:
            self._passed_over[spec.id] = self._passed_over.get(spec.id, 0) + 1
        self._drawn.remove(chosen)
        return chosen

    def _wait(self, spec: TrialSpec) -> int:
        if not spec.artifact or self.has(spec.artifact):
            return 0
        return 2 if spec.artifact in self._running.values() else 1

    def _next_teacher(self) -> TrialSpec | None:
        """A teacher for afterwards, while there is still somebody to wait for."""
        if not self._running or not self.source.exhausted:
            return None
        if self._teachers is None:
            needed = [self._with_key(spec) for spec in self.afterwards()]
            missing = {spec.artifact: spec for spec in needed if self._wait(spec) == 1}
            self._teachers = [replace(spec, id=f"teacher-{key}", only_teacher=True) for key, spec in missing.items()]
        return self._teachers.pop(0) if self._teachers else None
