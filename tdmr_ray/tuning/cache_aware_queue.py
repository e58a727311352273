"""The order in which trials start: first those whose teacher is stored, then those whose teacher nobody is making.

Trials that are drawn together rest on the same results, so they are equally promising and may start in any order.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from tdmr_ray.records import TrialRecord
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.trial_source import TrialSource
from tdmr_ray.tuning.trial_spec import TrialSpec

MAX_AHEAD = 8
"""Most specs that are drawn ahead."""


class CacheAwareQueue:
    """A source that draws a few specs of another source ahead and first hands out those that need not wait.

    A spec is passed over at most as often as specs are drawn ahead. When the other source is exhausted while its specs
    still run, idle slots make teachers that will be needed afterwards. With one slot nothing is reordered.

    Args:
        source: Source of the specs.
        key_of: Returns the key of the teacher artifact that a configuration needs, '' if it needs none.
        has: Returns whether the artifact with a key is stored.
        slots: Trials that run at the same time.
        afterwards: Returns the specs expected after this source's; called once, when the source is exhausted.
    """

    def __init__(
        self,
        source: TrialSource,
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
        """Whether all specs are handed out."""
        return not self._drawn and self.source.exhausted

    @property
    def num_left(self) -> int:
        """The number of specs that are not handed out yet."""
        return len(self._drawn) + self.source.num_left

    def next_spec(self) -> TrialSpec | None:
        """Hand out the drawn spec that can start soonest."""
        while len(self._drawn) <= self.ahead and (spec := self.source.next_spec()) is not None:
            self._drawn.append(self._with_key(spec))
        spec = self._take() if self._drawn else self._next_teacher()
        if spec is not None:
            self._running[spec.id] = spec.teacher_key
        return spec

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        """Pass a result on to the other source, unless the spec made only a teacher."""
        self._running.pop(spec.id, None)
        if not spec.only_teacher:
            self.source.tell(spec, record)

    def _with_key(self, spec: TrialSpec) -> TrialSpec:
        return replace(spec, teacher_key=self.key_of(spec.config))

    def _take(self) -> TrialSpec:
        """Remove the next spec from those that are drawn."""
        overdue = [spec for spec in self._drawn if self._passed_over.get(spec.id, 0) >= self.ahead]
        chosen = overdue[0] if overdue else min(self._drawn, key=self._wait)
        for spec in self._drawn[: self._drawn.index(chosen)]:
            self._passed_over[spec.id] = self._passed_over.get(spec.id, 0) + 1
        self._drawn.remove(chosen)
        return chosen

    def _wait(self, spec: TrialSpec) -> int:
        """Rank a spec's wait: 0 for a stored teacher or none, 1 to make one, 2 for one that is being made."""
        if not spec.teacher_key or self.has(spec.teacher_key):
            return 0
        return 2 if spec.teacher_key in self._running.values() else 1

    def _next_teacher(self) -> TrialSpec | None:
        """A spec that makes a teacher for afterwards, while trials of the source still run."""
        if not self._running or not self.source.exhausted:
            return None
        if self._teachers is None:
            needed = [self._with_key(spec) for spec in self.afterwards()]
            missing = {spec.teacher_key: spec for spec in needed if self._wait(spec) == 1}
            self._teachers = [replace(spec, id=f"teacher-{key}", only_teacher=True) for key, spec in missing.items()]
        return self._teachers.pop(0) if self._teachers else None
