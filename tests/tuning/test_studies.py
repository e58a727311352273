"""The Optuna search over all pairs: states, shares, no repeats, and rebuilding from the ledger."""

from collections import Counter
from pathlib import Path

import optuna
import pytest
from helpers.studies import MIXED, build_space, record_of, run_trials
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from tdmr_ray.records import State
from tdmr_ray.space import AllocationName, SamplerName, Space
from tdmr_ray.tuning import samplers
from tdmr_ray.tuning.pair_study import REPEATED
from tdmr_ray.tuning.studies import PairStudies, export_studies


def test_optuna_holds_the_states_and_intermediate_values_of_the_ledger() -> None:
    studies = PairStudies(build_space())
    records = {(r.pair.name, *sorted(r.values.items())): r for r in run_trials(studies, MIXED)}
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


def test_the_lower_log_loss_wins_in_a_study_and_in_what_follows_from_it() -> None:
    space = build_space(9, objective="val/log_loss")
    studies = PairStudies(space)
    records = run_trials(studies, ["complete"] * 6)
    assert {record.config["objective"] for record in records} == {"log_loss"}
    for name, study in studies.studies.items():
        own = [record for record in records if record.pair.name == name]
        assert study.best_trial.user_attrs["id"] == own[0].id  # the losses rise
        assert study.best_value == own[0].curve[-1] == -own[0].metrics["val/log_loss"]
    warm = PairStudies(build_space(20, objective="val/log_loss"), others=records[2:])
    first = [spec.values for spec in (warm.next_spec() for _ in range(4)) if spec]
    assert first[2:] == [records[2].values, records[3].values]


def test_trials_with_another_objective_are_outside_the_space() -> None:
    records = run_trials(PairStudies(build_space()), ["complete"] * 2)
    assert PairStudies(build_space(objective="val/auroc"), records).outside == records


def test_pairs_take_turns_and_get_equal_shares() -> None:
    studies = PairStudies(build_space(7))
    specs = [studies.next_spec() for _ in range(7)]
    assert studies.next_spec() is None
    names = [spec.pair.name for spec in specs if spec]
    assert Counter(names) == {"glyph_cnn-lcnet_035": 4, "glyph_hybrid-lcnet_035": 3}
    assert len(set(names[:2])) == 2


def test_the_first_trial_of_a_pair_has_the_default_values() -> None:
    space = build_space()
    spec = PairStudies(space).next_spec()
    assert spec is not None
    assert spec.values == space.default_values()


def test_no_configuration_runs_twice_and_a_used_up_space_ends_the_search() -> None:
    studies = PairStudies(build_space(40, **{"prompt.size_px": {"low": 0, "high": 4, "step": 2}}))
    specs = []
    while (spec := studies.next_spec()) is not None:
        studies.tell(spec, record_of(spec))
        specs.append(spec)
    assert studies.exhausted
    assert Counter(spec.pair.name for spec in specs) == {"glyph_cnn-lcnet_035": 3, "glyph_hybrid-lcnet_035": 3}
    assert len({spec.id for spec in specs}) == 6


def test_equal_seeds_draw_equal_trials() -> None:
    first, second = (run_trials(PairStudies(build_space()), MIXED) for _ in range(2))
    assert first == second


def contents_of(studies: PairStudies) -> dict[str, list[tuple[object, ...]]]:
    """The trials of each study, without times and without configurations that were drawn twice."""
    return {
        name: [
            (trial.params, trial.state, trial.values, trial.intermediate_values)
            for trial in study.trials
            if REPEATED not in trial.user_attrs
        ]
        for name, study in studies.studies.items()
    }


@pytest.mark.parametrize("allocation", ["equal", "adaptive"])
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "nsga2", "random"])
def test_studies_rebuilt_from_records_draw_the_same_trials_as_the_original(
    sampler: SamplerName, allocation: AllocationName
) -> None:
    budget = build_space(30).budget.model_copy(update={"allocation": allocation})
    space = build_space(30).model_copy(update={"sampler": sampler, "budget": budget})
    states: list[State] = [*MIXED, *MIXED[:2]]
    live = PairStudies(space)
    records = run_trials(live, states)
    rebuilt = PairStudies(space, records)
    assert contents_of(rebuilt) == contents_of(live)
    assert rebuilt.num_left == live.num_left == 16
    assert run_trials(rebuilt, MIXED) == run_trials(live, MIXED)


def test_tpe_with_a_cached_search_space_draws_the_same_trials_as_optunas_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = run_trials(PairStudies(build_space(40)), MIXED * 3)

    def plain(seed: int, num_startup: int, _: object) -> TPESampler:
        return TPESampler(seed=seed, n_startup_trials=num_startup, constant_liar=True)

    monkeypatch.setitem(samplers._BUILDERS, "tpe", plain)
    assert run_trials(PairStudies(build_space(40)), MIXED * 3) == ours


def test_interrupted_trials_are_handed_out_first_and_in_order() -> None:
    space = build_space()
    live = PairStudies(space)
    records = run_trials(live, MIXED[:4])
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
    "more trials": (build_space(20), 6),
    "an added choice": (build_space(12, **{"temperature.start": {"choices": [3.0, 4.0, 5.0]}}), 6),
    "a narrower range": (build_space(12, **{"temperature.start": {"low": 2.5, "high": 4.5}}), 4),
    "a new parameter": (
        build_space(12, **{"temperature.start": {"low": 1.0, "high": 9.0}, "loss.kind": {"choices": ["kl", "mse"]}}),
        6,
    ),
}


@pytest.mark.parametrize(("space", "inside"), EXTENSIONS.values(), ids=EXTENSIONS)
def test_earlier_trials_inside_a_changed_space_count_and_the_others_are_listed(space: Space, inside: int) -> None:
    values = [3.0, 4.0, 5.0] * 2
    old = build_space(12, **{"temperature.start": {"choices": [3.0, 4.0, 5.0]}})
    if space.search.keys() == {"prompt.size_px", "temperature.schedule", "temperature.end"}:
        records = run_trials(PairStudies(build_space(6)), MIXED[:6])
    else:
        records = run_trials(PairStudies(old), MIXED[:6])
        assert sorted(record.values["temperature.start"] for record in records) == sorted(values)
    rebuilt = PairStudies(space, records)
    assert len(records) - len(rebuilt.outside) == inside
    assert rebuilt.num_left == space.budget.trials - inside


def test_a_configuration_recorded_under_two_ids_counts_once() -> None:
    records = run_trials(PairStudies(build_space()), ["complete"] * 3)
    older = [record.model_copy(update={"id": f"older-{record.id}", "state": "running"}) for record in records[:2]]
    rebuilt = PairStudies(build_space(), [*older, *records])
    assert rebuilt.num_left == 9
    assert contents_of(rebuilt) == contents_of(PairStudies(build_space(), records))


def test_with_more_epochs_each_pair_begins_with_its_best_earlier_trial() -> None:
    records = run_trials(PairStudies(build_space()), MIXED)
    longer = build_space().model_copy(update={"budget": build_space().budget.model_copy(update={"epochs": 12})})
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


def test_a_pair_begins_with_the_best_of_other_searches_and_sister_pairs() -> None:
    space = build_space(20, **{"temperature.start": {"low": 1.0, "high": 9.0}})
    one = space.model_copy(update={"pairs": space.pairs.model_copy(update={"foundations": ("glyph_cnn",)})})
    records = run_trials(PairStudies(one), ["complete"] * 5)
    best = records[-1].values
    assert best not in [record.values for record in records[:-1]]
    warm = PairStudies(space, others=records)
    first = [warm.next_spec() for _ in range(4)]
    assert [spec.values for spec in first if spec] == [space.default_values()] * 2 + [best] * 2
    extended = PairStudies(space, records)
    late = [spec for spec in (extended.next_spec() for _ in range(2)) if spec]
    assert {spec.pair.foundation for spec in late} == {"glyph_hybrid"}
    assert [spec.values for spec in late] == [space.default_values(), best]


def test_each_optuna_trial_carries_the_id_of_its_record() -> None:
    studies = PairStudies(build_space())
    records = run_trials(studies, MIXED)
    marked = [trial.user_attrs["id"] for study in studies.studies.values() for trial in study.trials]
    assert sorted(marked) == sorted(record.id for record in records)


def test_tpe_draws_closer_to_the_optimum_as_it_learns() -> None:
    studies = PairStudies(build_space(40, **{"temperature.start": {"low": 1.0, "high": 9.0}}))
    drawn = []
    while (spec := studies.next_spec()) is not None:
        value = float(spec.values["temperature.start"])
        studies.tell(spec, record_of(spec, "complete", 1 - abs(value - 7) / 10))
        drawn.append(abs(value - 7))
    assert sum(drawn[-10:]) / 10 < 0.5 * sum(drawn[:10]) / 10


def test_exported_studies_load_from_the_database(tmp_path: Path) -> None:
    studies = PairStudies(build_space())
    run_trials(studies, MIXED)
    assert studies.pairs["glyph_cnn-lcnet_035"].draw(studies.studies["glyph_cnn-lcnet_035"].trials[0].params) is None
    url = f"sqlite:///{tmp_path}/study.sqlite3"
    export_studies(studies.studies, tmp_path / "study.sqlite3")
    assert set(optuna.get_all_study_names(url)) == set(studies.studies)
    loaded = optuna.load_study(study_name="glyph_cnn-lcnet_035", storage=url)
    own = studies.studies["glyph_cnn-lcnet_035"].trials
    assert [trial.state for trial in loaded.trials] == [trial.state for trial in own if "id" in trial.user_attrs]
    assert len(loaded.trials) < len(own)


def test_records_of_another_version_are_outside_and_open_nothing() -> None:
    space = build_space()
    (record, *_) = run_trials(PairStudies(space), ["complete", "complete"])
    foreign = record.model_copy(update={"config": {**record.config, "signals": {"num_views": 8}}})
    for studies in (PairStudies(space, [foreign]), PairStudies(space, others=[foreign])):
        spec = studies.next_spec()
        assert spec is not None
        assert spec.config == space.config(space.default_values(), *space.all_pairs[0])
    assert PairStudies(space, [foreign]).outside == [foreign]
