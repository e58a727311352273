"""The seams of the driver loop: a source, a pruner and listeners of one's own."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.assignments import short_trial
from helpers.studies import build_space
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from tdmr_ray.records import TrialRecord
from tdmr_ray.runner.messages import TrialReport, assignment_in, report_in
from tdmr_ray.runner.schedulers import PrunerScheduler
from tdmr_ray.runner.stop_flag import StopFlag
from tdmr_ray.runner.trial_searcher import TrialSearcher
from tdmr_ray.tuning.studies import PairStudies
from tdmr_ray.tuning.trial_spec import TrialSpec


class OneAtATime:
    """A source that waits for the result of a trial before it hands out the next one."""

    def __init__(self, specs: list[TrialSpec]) -> None:
        self.specs, self.waits = specs, False

    @property
    def exhausted(self) -> bool:
        return not self.specs and not self.waits

    @property
    def num_left(self) -> int:
        return len(self.specs)

    def next_spec(self) -> TrialSpec | None:
        if self.waits or not self.specs:
            return None
        self.waits = True
        return self.specs.pop(0)

    def tell(self, spec: TrialSpec, record: TrialRecord) -> None:
        self.waits = False


class AtLeast:
    """A pruner that stops trials whose score is below a limit."""

    epochs = (1, 2)

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.calls: list[tuple[str, str, int]] = []

    def should_continue(self, pair: str, trial_id: str, epoch: int, score: float) -> bool:
        self.calls.append((pair, trial_id, epoch))
        return score >= self.limit


def two_specs() -> list[TrialSpec]:
    studies = PairStudies(build_space())
    found = [studies.next_spec() for _ in range(2)]
    return [spec for spec in found if spec is not None]


def test_another_source_hands_out_its_trials_when_it_wants_to(tmp_path: Path) -> None:
    specs = two_specs()
    source = OneAtATime(list(specs))
    assignment = short_trial(tmp_path)
    searcher = TrialSearcher(source, lambda spec: type(assignment)(spec, assignment.settings, assignment.files), 2)
    first = searcher.suggest("t1")
    assert isinstance(first, dict)
    assert assignment_in(first).spec == specs[0]
    assert searcher.suggest("t2") is None, "the source has nothing yet"
    source.tell(specs[0], None)  # type: ignore[arg-type]
    searcher.live.pop("t1")
    second = searcher.suggest("t2")
    assert isinstance(second, dict)
    assert assignment_in(second).spec == specs[1]
    source.tell(specs[1], None)  # type: ignore[arg-type]
    searcher.live.pop("t2")
    assert searcher.suggest("t3") == Searcher.FINISHED


def test_no_trial_starts_in_a_phase_that_is_being_ended(tmp_path: Path) -> None:
    source, assignment = OneAtATime(two_specs()), short_trial(tmp_path)
    ending = StopFlag(is_set=True)
    searcher = TrialSearcher(source, lambda spec: assignment, 2, ending)
    assert searcher.suggest("t1") == Searcher.FINISHED, "Tune would wait for anything else"
    assert source.num_left == 2


@pytest.mark.parametrize(
    ("objective", "limit", "value", "decision"),
    [
        ("val/top1", 0.5, 0.4, TrialScheduler.STOP),
        ("val/top1", 0.5, 0.6, TrialScheduler.CONTINUE),
        ("val/log_loss", -0.5, 0.4, TrialScheduler.CONTINUE),
        ("val/log_loss", -0.5, 0.6, TrialScheduler.STOP),
    ],
)
def test_another_pruner_decides_by_scores_which_trials_continue(
    objective: str, limit: float, value: float, decision: str, tmp_path: Path
) -> None:
    assignment, pruner = short_trial(tmp_path), AtLeast(limit)
    trial: Any = SimpleNamespace(config=assignment.as_config())
    report = TrialReport(epoch=2, metrics={objective: value})
    scheduler = PrunerScheduler(pruner, objective)
    assert scheduler.on_trial_result(None, trial, report.as_result()) == decision
    assert pruner.calls == [(assignment.spec.pair.name, "trial", 2)]


def test_a_failed_trial_is_no_matter_for_the_pruner(tmp_path: Path) -> None:
    pruner = AtLeast(0.5)
    trial: Any = SimpleNamespace(config=short_trial(tmp_path).as_config())
    failed = TrialReport(done=True, error="it diverged")
    assert PrunerScheduler(pruner, "val/top1").on_trial_result(None, trial, failed.as_result()) == "CONTINUE"
    assert not pruner.calls


def test_a_result_without_a_report_reads_as_an_empty_report() -> None:
    assert report_in(None) == report_in({"done": True}) == TrialReport()
