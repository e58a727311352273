"""A teacher's key covers all that a teacher depends on, and nothing else."""

import pytest
from helpers.other_values import with_other_value, with_owner

from tdmr_ray.code_digest import ROOT, imported_sources
from tdmr_ray.method.mappings import MAPPINGS
from tdmr_ray.method.prompts import PROMPTS
from tdmr_ray.training import teacher_artifact
from tdmr_ray.training.config import COMPONENTS, TrialConfig
from tdmr_ray.training.parameters import all_parameters
from tdmr_ray.training.teacher_artifact import teacher_key

APART = ("foundation.",)
"""Parameters that also decide which weights are loaded."""

KINDS = [(f"{section}.{choice.key}", kind) for section, choice in COMPONENTS.items() for kind in choice.registry]


@pytest.fixture
def config(tiny_config: TrialConfig) -> TrialConfig:
    return tiny_config


def test_teacher_sections_are_derived_from_the_marks_of_fields_and_components() -> None:
    assert set(TrialConfig.teacher_sections()) == {
        "foundation",
        "prompt",
        "mapping",
        "reprogram",
        "pseudo_labels",
        "views",
        "outputs",
        "precision",
        "objective",
        "seed",
    }


@pytest.mark.parametrize("name", [name for name in all_parameters() if not name.startswith(APART)])
def test_key_changes_exactly_with_parameters_of_the_teacher_sections(name: str, config: TrialConfig) -> None:
    start = with_owner(config, name)
    changed = with_other_value(start, name)
    differs = teacher_key(start, "data") != teacher_key(changed, "data")
    assert differs is (name.partition(".")[0] in TrialConfig.teacher_sections())


@pytest.mark.parametrize(("selector", "kind"), KINDS)
def test_key_follows_the_kind_of_components_that_shape_a_teacher(selector: str, kind: str, config: TrialConfig) -> None:
    start, section = config.flat()[selector], selector.partition(".")[0]
    differs = teacher_key(config, "data") != teacher_key(config.with_values({selector: kind}), "data")
    assert differs is (kind != start and section in ("prompt", "mapping"))


@pytest.mark.parametrize("name", ["foundation.weights", "foundation.image_px"])
def test_key_follows_the_parameters_of_the_foundation(
    name: str, config: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_artifact, "foundation_digest", lambda part: "the same weights")
    assert teacher_key(config, "data") != teacher_key(with_other_value(config, name), "data")


def test_key_follows_the_weights_of_the_foundation(config: TrialConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {teacher_key(config, "data"), teacher_key(config.replace(foundation__name="glyph_hybrid"), "data")}
    monkeypatch.setattr(teacher_artifact, "foundation_digest", lambda part: "other weights")
    assert len({*keys, teacher_key(config, "data")}) == 3


def test_key_follows_the_images(config: TrialConfig) -> None:
    assert teacher_key(config, "data") != teacher_key(config, "other data")


def test_key_follows_the_code(config: TrialConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = teacher_key(config, "data")
    monkeypatch.setattr(teacher_artifact, "source_digest", lambda *modules: "other code")
    assert teacher_key(config, "data") != before


def test_key_follows_the_code_of_a_plugin(config: TrialConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = teacher_key(config, "data")
    parts: list[tuple[object, ...]] = []
    monkeypatch.setattr(teacher_artifact, "code_of_plugins", lambda *found: parts.append(found) or ["its code"])
    assert teacher_key(config, "data") != before
    assert parts == [(PROMPTS[config.prompt.kind], MAPPINGS[config.mapping.kind])]


def test_code_of_a_teacher_is_what_its_module_imports() -> None:
    """The hash itself follows imports, as `test_code_digest.py` shows."""
    found = set(imported_sources(ROOT, teacher_artifact.__name__))
    components = {component.__module__ for component in [*PROMPTS.values(), *MAPPINGS.values()]}
    training = {"evaluate", "reprogram", "teacher_outputs", "label_propagation", "best_on_val", "batches"}
    assert components | {f"tdmr_ray.training.{name}" for name in training} <= found
    rooms = {name.split(".")[1] for name in found}
    assert rooms == {"code_digest", "data", "errors", "machine", "method", "models", "plugins", "training"}
    assert not {"tdmr_ray.training.fit", "tdmr_ray.training.controls"} & found


def test_number_of_views_does_not_count_for_a_live_teacher(config: TrialConfig) -> None:
    """A live teacher has no stored outputs, so only its weights matter."""
    live = config.replace(outputs__kind="live")
    assert teacher_key(live, "data") == teacher_key(live.replace(outputs__num_views=5), "data")
    assert teacher_key(live, "data") != teacher_key(config, "data")
