"""Trials that need not wait for a teacher start first."""

from collections.abc import Callable

from helpers.studies import record_of

from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.cache_aware_queue import CacheAwareQueue
from tdmr_ray.tuning.trial_source import Queue
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec


def spec(name: str, artifact: str) -> TrialSpec:
    """A spec whose foundation stands for the key of its teacher artifact."""
    config = TrialConfig().with_values({"target.name": name, "foundation.name": artifact})
    made = build_spec(config, phase="search")
    return TrialSpec(name, made.phase, made.role, made.pair, made.config, made.values)


def key_of(config: TrialConfig) -> str:
    return config.foundation.name


def order(
    *specs: TrialSpec, slots: int, stored: str = "", afterwards: Callable[[], list[TrialSpec]] = list
) -> CacheAwareQueue:
    return CacheAwareQueue(Queue(list(specs)), key_of, lambda key: key in stored, slots=slots, afterwards=afterwards)


def names_of(source: CacheAwareQueue, count: int) -> list[str]:
    return [found.id if found else "-" for found in (source.next_spec() for _ in range(count))]


def test_stored_teachers_come_first_then_teachers_that_nobody_is_making() -> None:
    specs = spec("first", "A"), spec("same", "A"), spec("other", "B"), spec("there", "S"), spec("none", "")
    assert names_of(order(*specs, slots=8, stored="S"), 6) == ["there", "none", "first", "other", "same", "-"]


def test_with_one_slot_nothing_is_reordered() -> None:
    specs = spec("first", "A"), spec("same", "A"), spec("there", "S")
    assert names_of(order(*specs, slots=1, stored="S"), 3) == ["first", "same", "there"]


def test_only_a_few_trials_are_drawn_ahead() -> None:
    source = order(*(spec(str(number), "A") for number in range(9)), slots=4)
    source.next_spec()
    assert source.source.num_left == 6
    assert source.num_left == 8
    assert not source.exhausted


def test_a_trial_is_not_passed_over_forever() -> None:
    specs = spec("waits", "A"), *(spec(f"there {number}", "S") for number in range(5))
    assert names_of(order(*specs, slots=4, stored="S"), 4) == ["there 0", "there 1", "waits", "there 2"]


def test_a_teacher_no_longer_counts_as_being_made_when_its_trial_ends() -> None:
    specs = spec("first", "A"), spec("same", "A"), spec("other", "B"), spec("another", "C")
    source = order(*specs, slots=4)
    first = source.next_spec()
    assert first is not None
    source.tell(first, record_of(first))
    assert names_of(source, 1) == ["same"]


def test_idle_slots_make_each_later_teacher_once() -> None:
    later = [spec("a", "A"), spec("b", "B"), spec("c", "B"), spec("d", "S"), spec("e", "")]
    source = order(spec("last", "A"), slots=2, stored="S", afterwards=lambda: later)
    last, teacher, nothing = source.next_spec(), source.next_spec(), source.next_spec()
    assert last is not None
    assert teacher is not None
    assert (last.id, last.only_teacher) == ("last", False)
    assert (teacher.id, teacher.only_teacher, teacher.teacher_key) == ("teacher-B", True, "B")
    assert nothing is None
    assert source.exhausted
    source.tell(teacher, record_of(teacher))
    source.tell(last, record_of(last))


def test_no_later_teacher_is_made_when_no_trial_runs() -> None:
    source = order(spec("last", "A"), slots=2, afterwards=lambda: [spec("b", "B")])
    last = source.next_spec()
    assert last is not None
    source.tell(last, record_of(last))
    assert source.next_spec() is None
