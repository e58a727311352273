"""Our Optuna searcher: states as they were, fair shares, nothing twice, rebuilt from the ledger."""

from collections import Counter

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from tdmr_ray.records import State, TrialRecord
from tdmr_ray.space import AllocationName, SamplerName, Space
from tdmr_ray.space.reading import check_tree
from tdmr_ray.tuning import samplers
from tdmr_ray.tuning.studies import REPEATED, PairStudies, export_studies
from tdmr_ray.tuning.trial_spec import TrialSpec


def build(trials: int = 12, **search: object) -> Space:
    tree = {
        "name": "test",
        "data": {"name": "digits", "shots": 5},
        "pairs": {"foundations": ["glyph_cnn", "glyph_hybrid"], "targets": ["lcnet_035"]},
        "budget": {"trials": trials, "epochs": 9, "allocation": "equal"},
        "search": search
        or {
            "prompt.size_px": {"low": 0, "high": 8, "step": 2},
            "temperature.schedule": {"choices": ["constant", "linear"]},
            "temperature.end": {"low": 1.0, "high": 4.0, "log": True, "when": {"temperature.schedule": ["linear"]}},
        },
    }
    space, problems = check_tree(tree)
    assert space is not None, problems
    return space


def record_of(spec: TrialSpec, state: State = "complete", value: float = 0.5) -> TrialRecord:
    curve = {"complete": [value] * 9, "pruned": [value] * 3, "failed": [], "running": [value] * 3}[state]
    return TrialRecord(
        id=spec.id,
        phase="search",
        pair=spec.pair,
        config=spec.config.model_dump(mode="json"),
        values=dict(spec.values),
        state=state,
        metrics={"val/top1": value} if curve else {},
        curve=curve,
        seed=0,
        seconds=1.0,
    )


def run(studies: PairStudies, states: list[State]) -> list[TrialRecord]:
    records = []
    for number, state in enumerate(states):
        spec = studies.next_spec()
        assert spec is not None
        record = record_of(spec, state, 0.1 + 0.05 * number)
        studies.tell(spec, record)
        records.append(record)
    return records


MIXED: list[State] = ["complete", "pruned", "failed", "pruned", "complete", "complete"] * 2


def test_states_and_intermediate_values_in_optuna_equal_those_in_the_ledger() -> None:
    studies = PairStudies(build())
    records = {(r.pair.name, *sorted(r.values.items())): r for r in run(studies, MIXED)}
    assert studies.exhausted
    names = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    count = 0
    for name, study in studies.studies.items():
        for trial in study.trials:
            if REPEATED in trial.user_attrs:
                continue
            record = records[(name, *sorted(trial.params.items()))]
            count += 1
            if record.state == "pruned":
                assert trial.value == record.curve[-1]
                assert trial.intermediate_values == dict(enumerate(record.curve, start=1))
            assert names[trial.state] == record.state
    assert count == len(records)


def test_pairs_get_equal_shares_in_turn() -> None:
    studies = PairStudies(build(7))
    specs = [studies.next_spec() for _ in range(7)]
    assert studies.next_spec() is None
    names = [spec.pair.name for spec in specs if spec]
    assert Counter(names) == {"glyph_cnn-lcnet_035": 4, "glyph_hybrid-lcnet_035": 3}
    assert len(set(names[:2])) == 2


def test_the_first_job_of_a_pair_has_the_default_values() -> None:
    space = build()
    spec = PairStudies(space).next_spec()
    assert spec is not None
    assert spec.values == space.default_values()


def test_no_configuration_runs_twice_and_a_used_up_space_ends_the_search() -> None:
    studies = PairStudies(build(40, **{"prompt.size_px": {"low": 0, "high": 4, "step": 2}}))
    specs = []
    while (spec := studies.next_spec()) is not None:
        studies.tell(spec, record_of(spec))
        specs.append(spec)
    assert studies.exhausted
    assert Counter(spec.pair.name for spec in specs) == {"glyph_cnn-lcnet_035": 3, "glyph_hybrid-lcnet_035": 3}
    assert len({spec.id for spec in specs}) == 6


def test_same_seed_same_jobs() -> None:
    first, second = (run(PairStudies(build()), MIXED) for _ in range(2))
    assert first == second


def on_progress(studies: PairStudies) -> dict[str, list[tuple[object, ...]]]:
    """What each study knows, apart from its clock and from configurations that were drawn twice."""
    return {
        name: [
            (trial.params, trial.state, trial.values, trial.intermediate_values)
            for trial in study.trials
            if REPEATED not in trial.user_attrs
        ]
        for name, study in studies.studies.items()
    }


@pytest.mark.parametrize("allocation", ["equal", "adaptive"])
@pytest.mark.parametrize("sampler", ["tpe", "gp", "nsga2", "random"])
def test_rebuilt_from_records_it_equals_what_was_and_goes_on_as_it_would_have(
    sampler: SamplerName, allocation: AllocationName
) -> None:
    budget = build(30).budget.model_copy(update={"allocation": allocation})
    space = build(30).model_copy(update={"sampler": sampler, "budget": budget})
    states: list[State] = [*MIXED, *MIXED[:2]]
    live = PairStudies(space)
    records = run(live, states)
    rebuilt = PairStudies(space, records)
    assert on_progress(rebuilt) == on_progress(live)
    assert rebuilt.num_left == live.num_left == 16
    assert run(rebuilt, MIXED) == run(live, MIXED)


def test_tpe_with_its_memory_draws_what_optunas_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = run(PairStudies(build(40)), MIXED * 3)

    def plain(seed: int, num_startup: int, _: object) -> TPESampler:
        return TPESampler(seed=seed, n_startup_trials=num_startup, constant_liar=True)

    monkeypatch.setitem(samplers._BUILDERS, "tpe", plain)
    assert run(PairStudies(build(40)), MIXED * 3) == ours


def test_interrupted_trials_come_first_and_in_their_order() -> None:
    space = build()
    live = PairStudies(space)
    records = run(live, MIXED[:4])
    specs = [live.next_spec() for _ in range(2)]
    running = [record_of(spec, "running") for spec in specs if spec]
    rebuilt = PairStudies(space, [*records, *running])
    assert rebuilt.num_left == live.num_left + 2
    assert [rebuilt.next_spec() for _ in range(2)] == specs
    for spec in specs:
        assert spec
        rebuilt.tell(spec, record_of(spec))
    new = rebuilt.next_spec()
    assert new
    assert new.id not in {record.id for record in [*records, *running]}


EXTENSIONS = {
    "more trials": (build(20), 6),
    "an added choice": (build(12, **{"temperature.start": {"choices": [3.0, 4.0, 5.0]}}), 6),
    "a narrower range": (build(12, **{"temperature.start": {"low": 2.5, "high": 4.5}}), 4),
    "a new parameter": (
        build(12, **{"temperature.start": {"low": 1.0, "high": 9.0}, "distill.loss": {"choices": ["kl", "mse"]}}),
        6,
    ),
}


@pytest.mark.parametrize(("space", "inside"), EXTENSIONS.values(), ids=EXTENSIONS)
def test_old_trials_that_fit_a_changed_space_count_and_the_others_are_named(space: Space, inside: int) -> None:
    values = [3.0, 4.0, 5.0] * 2
    old = build(12, **{"temperature.start": {"choices": [3.0, 4.0, 5.0]}})
    if space.search.keys() == {"prompt.size_px", "temperature.schedule", "temperature.end"}:
        records = run(PairStudies(build(6)), MIXED[:6])
    else:
        records = run(PairStudies(old), MIXED[:6])
        assert sorted(record.values["temperature.start"] for record in records) == sorted(values)
    rebuilt = PairStudies(space, records)
    assert len(records) - len(rebuilt.outside) == inside
    assert rebuilt.num_left == space.budget.trials - inside


def test_a_configuration_that_an_older_version_named_otherwise_counts_once() -> None:
    records = run(PairStudies(build()), ["complete"] * 3)
    older = [record.model_copy(update={"id": f"older-{record.id}", "state": "running"}) for record in records[:2]]
    rebuilt = PairStudies(build(), [*older, *records])
    assert rebuilt.num_left == 9
    assert on_progress(rebuilt) == on_progress(PairStudies(build(), records))


def test_with_more_epochs_the_best_so_far_are_tried_first() -> None:
    records = run(PairStudies(build()), MIXED)
    longer = build().model_copy(update={"budget": build().budget.model_copy(update={"epochs": 12})})
    studies = PairStudies(longer, records)
    assert studies.outside == records
    drawn: dict[str, list[dict[str, object]]] = {name: [] for name in studies.studies}
    while (spec := studies.next_spec()) is not None:
        drawn[spec.pair.name].append(dict(spec.values))
        studies.tell(spec, record_of(spec))
    for name, values in drawn.items():
        own = [record for record in records if record.pair.name == name and record.state == "complete"]
        best = max(own, key=lambda record: record.metrics["val/top1"])
        assert best.values in values[:2]


def test_other_searches_and_sisters_open_a_pair() -> None:
    space = build(20, **{"temperature.start": {"low": 1.0, "high": 9.0}})
    one = space.model_copy(update={"pairs": space.pairs.model_copy(update={"foundations": ("glyph_cnn",)})})
    records = run(PairStudies(one), ["complete"] * 5)
    best = records[-1].values
    assert best not in [record.values for record in records[:-1]]
    warm = PairStudies(space, others=records)
    first = [warm.next_spec() for _ in range(4)]
    assert [spec.values for spec in first if spec] == [space.default_values()] * 2 + [best] * 2
    extended = PairStudies(space, records)
    late = [spec for spec in (extended.next_spec() for _ in range(2)) if spec]
    assert {spec.pair.foundation for spec in late} == {"glyph_hybrid"}
    assert [spec.values for spec in late] == [space.default_values(), best]


def test_a_trial_is_marked_with_its_record() -> None:
    studies = PairStudies(build())
    records = run(studies, MIXED)
    marked = [trial.user_attrs["id"] for study in studies.studies.values() for trial in study.trials]
    assert sorted(marked) == sorted(record.id for record in records)


def test_tpe_learns_from_what_it_is_told() -> None:
    studies = PairStudies(build(40, **{"temperature.start": {"low": 1.0, "high": 9.0}}))
    drawn = []
    while (spec := studies.next_spec()) is not None:
        value = float(spec.values["temperature.start"])
        studies.tell(spec, record_of(spec, "complete", 1 - abs(value - 7) / 10))
        drawn.append(abs(value - 7))
    assert sum(drawn[-10:]) / 10 < 0.5 * sum(drawn[:10]) / 10


def test_export_for_the_dashboard(tmp_path: object) -> None:
    studies = PairStudies(build())
    run(studies, MIXED)
    url = f"sqlite:///{tmp_path}/study.sqlite3"
    export_studies(studies.studies, url)
    assert set(optuna.get_all_study_names(url)) == set(studies.studies)
    loaded = optuna.load_study(study_name="glyph_cnn-lcnet_035", storage=url)
    assert [t.state for t in loaded.trials] == [t.state for t in studies.studies["glyph_cnn-lcnet_035"].trials]
