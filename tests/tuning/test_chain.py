"""Sources one after another."""

from collections.abc import Iterator

from helpers.studies import record_of

from tdmr_ray.training.config import TrialConfig
from tdmr_ray.tuning.chain import Chain
from tdmr_ray.tuning.trial_source import Queue
from tdmr_ray.tuning.trial_spec import TrialSpec, build_spec


def specs(*seeds: int) -> list[TrialSpec]:
    return [build_spec(TrialConfig(seed=seed), phase="search") for seed in seeds]


def test_the_next_source_is_drawn_when_all_trials_before_have_ended() -> None:
    drawn: list[str] = []

    def sources() -> Iterator[Queue]:
        drawn.append("first")
        yield Queue(specs(0, 1))
        drawn.append("second")
        yield Queue(specs(2))
        drawn.append("end")

    chain = Chain(sources())
    first, second = chain.next_spec(), chain.next_spec()
    assert first is not None
    assert second is not None
    chain.tell(second, record_of(second))
    assert chain.next_spec() is None
    assert (drawn, chain.exhausted, chain.num_left) == (["first"], False, 0)
    chain.tell(first, record_of(first))
    third = chain.next_spec()
    assert third == specs(2)[0]
    assert drawn == ["first", "second"]
    chain.tell(third, record_of(third))
    assert chain.next_spec() is None
    assert (drawn[-1], chain.exhausted) == ("end", True)


def test_a_skipped_source_leaves_its_running_trials_behind() -> None:
    chain = Chain(iter([Queue(specs(0, 1)), Queue(specs(2))]))
    assert chain.next_spec() == specs(0)[0]
    chain.skip()
    assert chain.num_left == 1
    assert chain.next_spec() == specs(2)[0]
    assert not chain.exhausted


def test_a_chain_of_nothing_is_exhausted() -> None:
    chain = Chain(iter([]))
    assert (chain.exhausted, chain.next_spec()) == (True, None)
