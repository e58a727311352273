"""Spaces: what is drawn, what is counted, what is pinned."""

from pathlib import Path

import optuna
import pytest
import yaml
from pictures import make_folder
from pydantic import ValidationError

from tdmr_ray.space import Budget, Choices, Range, Space, ordered_by_condition
from tdmr_ray.space.reading import check_tree, read_space

FILES = sorted((Path(__file__).parents[1] / "search_spaces").glob("*.yaml"))


GOOD_TREE = {
    "name": "test",
    "data": {"name": "digits", "shots": 5},
    "pairs": {"foundations": ["glyph_cnn", "glyph_hybrid"], "targets": ["lcnet_035"]},
}


VIT = {"foundations": ["glyph_vit"], "targets": ["lcnet_035"]}


def build(search: dict[str, object], **sections: object) -> Space:
    space, problems = check_tree({**GOOD_TREE, "search": search, **sections})
    assert problems == []
    assert space is not None
    return space


SEARCH = {
    "prompt.size_px": {"low": 0, "high": 4, "step": 2},
    "mapping.kind": {"choices": ["linear", "prototype"]},
    "mapping.dim": {"choices": [16, 32], "when": {"mapping.kind": ["prototype"]}},
    "temperature.schedule": {"choices": ["constant", "linear"]},
    "temperature.end": {"low": 1.0, "high": 4.0, "log": True, "when": {"temperature.schedule": ["linear"]}},
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("images") / "photos", 12)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_are_right_and_search_the_four_things(path: Path, images: Path) -> None:
    for_own_images = "data.name=FOLDER" in path.read_text(encoding="utf-8")
    space = read_space(path, {"data.name": str(images)} if for_own_images else {})
    assert {"prompt.size_px", "mapping.kind", "temperature.schedule", "distill.num_stages"} <= space.search.keys()
    head = path.read_text(encoding="utf-8").splitlines()[:4]
    assert [line.split()[1] for line in head[:3]] == ["Asks:", "Run:", "Cost:"]


def test_counts_follow_conditions() -> None:
    space = build(SEARCH)
    # (linear, prototype 16, prototype 32) x 3 prompts x (constant, linear)
    assert space.num_configurations() == 3 * 3 * 2
    assert space.num_teachers() == 2 * 3 * 3
    assert space.continuous() == ("temperature.end",)


def test_a_continuous_teacher_parameter_means_a_continuum_of_teachers() -> None:
    assert build({"mapping.lr": {"low": 0.001, "high": 0.1, "log": True}}).num_teachers() is None


def test_drawn_values_respect_ranges_and_conditions() -> None:
    space, study = build(SEARCH), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(200):
        trial = study.ask()
        config = space.suggest(trial, "glyph_cnn", "lcnet_035")
        seen.add((config.prompt.size_px, config.mapping.kind, config.temperature.schedule))
        assert ("mapping.dim" in trial.params) == (config.mapping.kind == "prototype")
        assert ("temperature.end" in trial.params) == (config.temperature.schedule == "linear")
        if "temperature.end" in trial.params:
            assert 1 <= trial.params["temperature.end"] <= 4
    assert len(seen) == 3 * 2 * 2


def test_conditions_may_come_before_what_they_depend_on() -> None:
    backwards = dict(reversed(build(SEARCH).search.items()))
    order = ordered_by_condition(backwards)
    assert order.index("mapping.kind") < order.index("mapping.dim")


def test_a_pinned_parameter_decides_conditions() -> None:
    search = {name: value for name, value in SEARCH.items() if name != "mapping.kind"}
    assert "mapping.dim" not in build(search).default_values()
    assert build(search, fixed={"mapping.kind": "prototype"}).default_values()["mapping.dim"] in (16, 32)


def test_defaults_are_the_nearest_that_the_space_allows() -> None:
    space = build(
        {
            "prompt.size_px": {"low": 2, "high": 6, "step": 2},
            "mapping.kind": {"choices": ["bayesian", "linear"]},
            "temperature.start": {"low": 3.0, "high": 8.0},
        }
    )
    assert space.default_values() == {"prompt.size_px": 2, "mapping.kind": "linear", "temperature.start": 3.0}


@pytest.mark.parametrize(("weights", "lr"), [("", 0.012), ("pretrained", 0.0001)])
def test_the_default_rate_follows_from_the_target_s_weights(weights: str, lr: float) -> None:
    pairs = {"foundations": ["glyph_cnn"], "targets": [{"name": "mobilenetv3_small_100", "weights": weights}]}
    space = build({"distill.lr": {"low": 1e-5, "high": 0.1}}, pairs=pairs)
    assert space.default_values("mobilenetv3_small_100") == {"distill.lr": lr}
    assert space.config({}, "glyph_cnn", "mobilenetv3_small_100").distill.lr == lr


def test_overrides_pin_parameters_and_change_sections(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    tree = {
        "name": "test",
        "data": {"name": "digits", "shots": 5},
        "pairs": {"foundations": ["glyph_cnn"], "targets": ["lcnet_035"]},
        "search": SEARCH,
    }
    path.write_text(yaml.safe_dump(tree))
    space = read_space(path, {"mapping.kind": "linear", "precision": "bf16", "data.shots": 7, "budget.trials": 3})
    assert "mapping.kind" not in space.search
    assert space.fixed == {"mapping.kind": "linear", "precision": "bf16"}
    assert (space.data.shots, space.budget.trials) == (7, 3)
    config = space.config(space.default_values(), "glyph_cnn", "lcnet_035")
    assert (config.mapping.kind, config.precision, config.data.shots) == ("linear", "bf16", 7)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1.5d", 129600), (7, 7)])
def test_durations(text: object, seconds: float) -> None:
    assert Budget.model_validate({"time": text}).time == seconds


def test_a_range_offers_its_grid_its_ends_and_optunas_distribution() -> None:
    sizes = Range(low=0, high=5, step=2)
    assert (sizes.grid, sizes.ends) == ((0, 2, 4), (0, 4))
    assert sizes.distribution == optuna.distributions.IntDistribution(0, 4, step=2)
    rates = Range(low=0.001, high=0.1, log=True)
    assert (rates.grid, rates.ends) == (None, (0.001, 0.1))
    assert rates.distribution == optuna.distributions.FloatDistribution(0.001, 0.1, log=True)
    halves = Range(low=0, high=1, step=0.5)
    assert halves.grid == (0, 0.5, 1.0)
    assert halves.distribution == optuna.distributions.FloatDistribution(0.0, 1.0, step=0.5)


@pytest.mark.parametrize(
    ("value", "inside", "nearest"), [(2, True, 2), (2.0, True, 2), (3, False, 2), (9, False, 4), (True, False, 0)]
)
def test_a_stepped_range_holds_its_grid_and_finds_the_nearest_value(value: float, inside: bool, nearest: int) -> None:
    sizes = Range(low=0, high=5, step=2)
    assert sizes.contains(value) == inside
    assert sizes.nearest(value) == nearest


def test_choices_offer_all_values_and_fall_back_to_the_first() -> None:
    kinds = Choices(choices=("linear", "prototype"))
    assert kinds.grid == kinds.ends == ("linear", "prototype")
    assert kinds.contains("prototype")
    assert not kinds.contains("bayesian")
    assert (kinds.nearest("prototype"), kinds.nearest("bayesian")) == ("prototype", "linear")


def test_choices_written_as_numbers_hold_the_truth_values_that_they_stand_for() -> None:
    space = build({"loss.standardize": {"choices": [0, 1]}})
    config = space.config({"loss.standardize": 1}, "glyph_cnn", "lcnet_035")
    assert space.values_of(config) == {"loss.standardize": 1}


@pytest.mark.parametrize(
    "tree", [{"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 0, "high": 1.0, "step": 0}]
)
def test_an_illegal_range_cannot_be_built(tree: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Range.model_validate(tree)


def test_a_number_that_yaml_reads_as_text_is_a_number() -> None:
    assert Range.model_validate(yaml.safe_load("{low: 1e-3, high: 1}")) == Range(low=0.001, high=1)


def test_a_control_is_a_name_or_a_mapping_with_its_settings() -> None:
    tree = {**GOOD_TREE, "confirm": {"controls": ["scratch", {"kind": "plain_kd", "temperature": 2.0}]}}
    space, problems = check_tree(tree)
    assert problems == []
    assert space is not None
    assert [control.kind for control in space.confirm.controls] == ["scratch", "plain_kd"]
    written = space.model_dump(mode="json", exclude_defaults=True)
    assert written["confirm"]["controls"] == ["scratch", {"kind": "plain_kd", "temperature": 2.0}]
    assert check_tree(written)[0] == space


def test_a_list_of_foundations_is_a_committee() -> None:
    pairs = {"foundations": ["glyph_vit", ["glyph_cnn", {"name": "glyph_vit"}]], "targets": ["lcnet_035"]}
    space = build({"distill.lr": {"low": 0.001, "high": 0.1}}, pairs=pairs)
    assert list(space.pairs.by_label) == ["glyph_vit", "glyph_cnn+glyph_vit"]
    config = space.config({}, "glyph_cnn+glyph_vit", "lcnet_035")
    assert [member.name for member in config.foundation.members] == ["glyph_cnn", "glyph_vit"]


@pytest.mark.parametrize(
    ("foundation", "search", "message"),
    [
        (["glyph_cnn"], {}, "at least two members"),
        (["glyph_cnn", "glyph_vjt"], {}, "must be a built-in or timm name, got 'glyph_vjt'"),
        (["glyph_cnn", "glyph_vit"], {"mapping.kind": {"choices": ["linear", "frequency"]}}, "has none; use a map"),
        (["glyph_cnn", "glyph_vit"], {"prompt.kind": {"choices": ["tokens"]}}, "needs a plain transformer"),
    ],
)
def test_what_a_committee_cannot_be_is_named(foundation: object, search: dict[str, object], message: str) -> None:
    tree = {**GOOD_TREE, "search": search, "pairs": {"foundations": [foundation], "targets": ["lcnet_035"]}}
    _, problems = check_tree(tree)
    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        (["scratch", "scratch"], "'scratch' must not come twice"),
        ([{"kind": "plain_kd", "temperature": 0}], "greater than 0"),
        ([{"kind": "plain_dk"}], "unknown control 'plain_dk'; did you mean 'plain_kd'?"),
        ([{"kind": "scratch", "temperature": 2}], "unknown key"),
    ],
    ids=str,
)
def test_wrong_controls_are_named(controls: list[object], message: str) -> None:
    problems = check_tree({**GOOD_TREE, "confirm": {"controls": controls}})[1]
    assert len(problems) == 1
    assert message in problems[0]


def test_the_number_of_teachers_follows_everything_that_shapes_one() -> None:
    rounds = {"pseudo_labels.rounds": {"choices": [0, 1, 2]}}
    assert build(rounds).num_teachers() == 2 * 3
    assert build({"distill.num_stages": {"low": 1, "high": 3}}).num_teachers() == 2


def test_the_number_of_teachers_follows_chains_of_conditions() -> None:
    chain = {
        "outputs.kind": {"choices": ["stored", "live"]},
        "mapping.kind": {"choices": ["linear", "prototype"], "when": {"outputs.kind": ["stored"]}},
        "mapping.dim": {"choices": [16, 32], "when": {"mapping.kind": ["prototype"]}},
    }
    assert build(chain).num_configurations() == 1 + 2 + 1
    assert build(chain).num_teachers() == 2 * (1 + 2 + 1)


KINDS = {
    "mapping.kind": {"choices": ["linear", "prototype", "bayesian"]},
    "mapping.dim": {"choices": [16, 32]},
    "mapping.smoothing": {"choices": [0.5, 2.0]},
}


def test_parameters_of_a_kind_are_searched_under_that_kind() -> None:
    space, study = build(KINDS), optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert space.num_configurations() == 1 + 2 + 2
    assert space.default_values() == {"mapping.kind": "linear"}
    for _ in range(40):
        trial = study.ask()
        config = space.suggest(trial, "glyph_cnn", "lcnet_035")
        own = {"prototype": {"mapping.dim"}, "bayesian": {"mapping.smoothing"}}.get(config.mapping.kind, set())
        assert set(trial.params) == {"mapping.kind"} | own
        assert space.values_of(config) == trial.params == space.values_near(config)


def test_a_fixed_value_counts_for_the_kinds_that_have_the_parameter() -> None:
    space = build({"mapping.kind": {"choices": ["linear", "bayesian"]}}, fixed={"mapping.lr": 0.003})
    linear = space.config({"mapping.kind": "linear"}, "glyph_cnn", "lcnet_035")
    assert linear.flat()["mapping.lr"] == 0.003
    assert "mapping.lr" not in space.config({"mapping.kind": "bayesian"}, "glyph_cnn", "lcnet_035").flat()


def test_a_default_of_one_kind_is_not_carried_to_another() -> None:
    space = build({"prompt.kind": {"choices": ["tokens"]}, "prompt.lr": {"choices": [0.01, 0.1]}}, pairs=VIT)
    assert space.default_values() == {"prompt.kind": "tokens", "prompt.lr": 0.01}


@pytest.mark.parametrize(
    ("data", "search", "decode_px"),
    [
        ({"image_px": 160}, {}, 168),
        ({"image_px": 200}, {}, None),
        ({}, {}, None),
        ({"image_px": 160, "decode_px": 300}, {}, 300),
        ({"image_px": 96}, {"target.input_px": {"choices": [64, 192]}}, 192),
    ],
)
def test_files_are_decoded_large_enough_for_every_network(
    data: dict[str, int], search: dict[str, object], decode_px: int | None, images: Path
) -> None:
    pairs = {
        "foundations": [{"name": "test_resnet.r160_in1k", "weights": "random", "image_px": 168}],
        "targets": ["lcnet_035"],
    }
    space = build(search, data={"name": str(images), **data}, pairs=pairs)
    assert space.data.decode_px == decode_px
    assert space.config({}, *space.all_pairs[0]).data.decode_px == decode_px


def test_built_in_sets_are_not_decoded_again() -> None:
    pairs = {
        "foundations": [{"name": "test_resnet.r160_in1k", "weights": "random", "image_px": 168}],
        "targets": ["lcnet_035"],
    }
    assert build({}, pairs=pairs).data.decode_px is None
