"""Of jobs that are equally promising, those begin first that need not wait for a teacher."""

from collections.abc import Callable

from tdmr_ray.records import TrialRecord
from tdmr_ray.runner.events import blank_record
from tdmr_ray.runner.jobs import Job, Queue, build_job
from tdmr_ray.runner.order import TeachersFirst
from tdmr_ray.training.config import TrialConfig


def job(name: str, program: str) -> Job:
    """A job whose foundation stands for the program that it needs."""
    config = TrialConfig().with_values({"target.name": name, "foundation.name": program})
    made = build_job(config, phase="search")
    return Job(name, made.phase, made.role, made.pair, made.config, made.values)


def key_of(config: TrialConfig) -> str:
    return config.foundation.name


def record_of(ended: Job) -> TrialRecord:
    return blank_record(ended).model_copy(update={"state": "complete"})


def order(*jobs: Job, slots: int, stored: str = "", afterwards: Callable[[], list[Job]] = list) -> TeachersFirst:
    return TeachersFirst(Queue(list(jobs)), key_of, lambda key: key in stored, slots=slots, afterwards=afterwards)


def names_of(source: TeachersFirst, count: int) -> list[str]:
    return [found.id if found else "-" for found in (source.next_job() for _ in range(count))]


def test_a_job_whose_teacher_is_there_goes_first_then_one_whose_teacher_nobody_makes() -> None:
    jobs = job("first", "A"), job("same", "A"), job("other", "B"), job("there", "S"), job("none", "")
    assert names_of(order(*jobs, slots=8, stored="S"), 6) == ["there", "none", "first", "other", "same", "-"]


def test_with_one_slot_nothing_is_reordered() -> None:
    jobs = job("first", "A"), job("same", "A"), job("there", "S")
    assert names_of(order(*jobs, slots=1, stored="S"), 3) == ["first", "same", "there"]


def test_only_a_few_jobs_are_drawn_ahead() -> None:
    source = order(*(job(str(number), "A") for number in range(9)), slots=4)
    source.next_job()
    assert source.source.num_left == 6
    assert source.num_left == 8
    assert not source.exhausted


def test_a_job_is_not_passed_over_for_ever() -> None:
    jobs = job("waits", "A"), *(job(f"there {number}", "S") for number in range(5))
    assert names_of(order(*jobs, slots=4, stored="S"), 4) == ["there 0", "there 1", "waits", "there 2"]


def test_when_a_job_ends_its_teacher_is_not_being_made_any_more() -> None:
    jobs = job("first", "A"), job("same", "A"), job("other", "B"), job("another", "C")
    source = order(*jobs, slots=4)
    first = source.next_job()
    assert first is not None
    source.tell(first, record_of(first))
    assert names_of(source, 1) == ["same"]


def test_idle_slots_make_the_teachers_that_come_afterwards_each_once() -> None:
    later = [job("a", "A"), job("b", "B"), job("c", "B"), job("d", "S"), job("e", "")]
    source = order(job("last", "A"), slots=2, stored="S", afterwards=lambda: later)
    last, teacher, nothing = source.next_job(), source.next_job(), source.next_job()
    assert last is not None
    assert teacher is not None
    assert (last.id, last.only_teacher) == ("last", False)
    assert (teacher.id, teacher.only_teacher, teacher.program) == ("teacher-B", True, "B")
    assert nothing is None
    assert source.exhausted
    source.tell(teacher, record_of(teacher))
    source.tell(last, record_of(last))


def test_nothing_is_made_for_afterwards_when_nobody_runs_any_more() -> None:
    source = order(job("last", "A"), slots=2, afterwards=lambda: [job("b", "B")])
    last = source.next_job()
    assert last is not None
    source.tell(last, record_of(last))
    assert source.next_job() is None
