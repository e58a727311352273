"""Configurations of trials: keys, JSON, and copies with changed values."""

import pytest
from pydantic import ValidationError

from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.sections import DistillConfig, TargetConfig

FULL = TrialConfig().with_values(
    {
        "data.unlabeled": True,
        "foundation.name": "glyph_vit",
        "target.name": "lcnet_035",
        "prompt.size_px": 4,
        "mapping.kind": "bayesian",
        "temperature.schedule": "cosine",
        "distill.num_stages": 3,
        "precision": "bf16",
        "seed": 5,
    }
)


def test_configuration_survives_json_and_keeps_its_key() -> None:
    again = TrialConfig.model_validate_json(FULL.model_dump_json())
    assert again == FULL
    assert again.key() == FULL.key()


@pytest.mark.parametrize("change", [{"seed": 6}, {"prompt.size_px": 2}, {"temperature.end": 1.5}], ids=str)
def test_key_follows_every_value(change: dict[str, object]) -> None:
    assert FULL.with_values(change).key() != FULL.key()


@pytest.mark.parametrize(
    "change",
    [
        {"prompt.size": 2},
        {"nothing": 1},
        {"mapping.kind": "best"},
        {"precision": "fp16"},
        {"distill.num_stages": 0},
        {"distill.num_stages": 40},
    ],
    ids=str,
)
def test_illegal_values_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FULL.with_values(change)


@pytest.mark.parametrize("num_stages", [1, 3, 4])
def test_stages_must_not_outnumber_epochs(num_stages: int) -> None:
    values = {"distill.num_stages": num_stages, "distill.epochs": 3}
    if num_stages <= 3:
        assert FULL.with_values(values).distill.num_stages == num_stages
    else:
        with pytest.raises(ValidationError, match=r"num_stages <= distill.epochs must hold, got \(4, 3\)"):
            FULL.with_values(values)


def test_another_kind_keeps_values_that_it_shares_and_that_are_no_defaults() -> None:
    overlay = TrialConfig().with_values({"prompt.size_px": 4, "prompt.lr": 0.3})
    masked = overlay.with_values({"prompt.kind": "masked"})
    assert masked.prompt.model_dump() == {"kind": "masked", "size_px": 4, "lr": 0.3, "patch_px": 4, "mask_lr": 0.01}


@pytest.mark.parametrize(
    ("config", "lr"),
    [
        (TrialConfig(), 0.012),
        (TrialConfig().with_values({"target.weights": "pretrained"}), 0.0001),
        (TrialConfig().with_values({"target.weights": "pretrained", "distill.lr": 0.012}), 0.012),
        (TrialConfig().with_values({"target.weights": "pretrained"}).with_values({"target.weights": ""}), 0.012),
        (TrialConfig().with_values({"distill.lr": 0.003}).with_values({"target.weights": "pretrained"}), 0.003),
        (TrialConfig(target=TargetConfig(weights="pretrained"), distill=DistillConfig(epochs=3)), 0.0001),
        (TrialConfig(target=TargetConfig(weights="pretrained"), distill=DistillConfig(lr=0.002)), 0.002),
    ],
    ids=["random", "weights", "both", "weights taken away", "rate first", "sections", "section with a rate"],
)
def test_the_default_rate_suits_the_target_s_start(config: TrialConfig, lr: float) -> None:
    assert config.distill.lr == lr


def test_another_kind_takes_its_own_defaults_for_values_that_were_defaults() -> None:
    """0.1 suits pixels and would be kept for tokens, whose default is 0.01, if it did not count as a default."""
    assert TrialConfig().with_values({"prompt.kind": "tokens"}).flat()["prompt.lr"] == 0.01
    assert (
        TrialConfig().with_values({"prompt.lr": 0.3}).with_values({"prompt.kind": "tokens"}).flat()["prompt.lr"] == 0.3
    )


def test_another_kind_drops_values_that_it_does_not_know() -> None:
    smoothed = TrialConfig().with_values({"mapping.kind": "bayesian_plus", "mapping.smoothing": 3.0})
    linear = smoothed.with_values({"mapping.kind": "linear"})
    assert linear.mapping.model_dump() == {"kind": "linear", "lr": 0.01, "weight_decay": 0.01}
    assert smoothed.with_values({"mapping.kind": "bayesian"}).mapping.model_dump() == {
        "kind": "bayesian",
        "smoothing": 3.0,
    }


def test_values_of_the_new_kind_are_set_together_with_it() -> None:
    values = {"temperature.schedule": "learned", "temperature.curriculum_share": 0.5, "temperature.end": 8.0}
    for order in (values, dict(reversed(values.items()))):
        changed = FULL.with_values(order)
        assert changed.temperature.model_dump() == {
            "schedule": "learned",
            "start": 3.0,
            "end": 8.0,
            "curriculum_share": 0.5,
        }


@pytest.mark.parametrize(
    "change",
    [
        {"mapping.kind": "linear", "mapping.smoothing": 2.0},
        {"prompt.kind": "tokens", "prompt.size_px": 2},
        {"temperature.schedule": "constant", "temperature.end": 2.0},
        {"loss.alpha": 2.0},
    ],
    ids=str,
)
def test_values_that_the_kind_does_not_know_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        FULL.with_values(change)


def test_same_kind_again_changes_nothing() -> None:
    same = {"prompt.kind": "border", "mapping.kind": "bayesian", "temperature.schedule": "cosine"}
    assert FULL.with_values(same) == FULL


def test_replace_writes_dots_as_double_underscores() -> None:
    assert FULL.replace(prompt__size_px=2, seed=7) == FULL.with_values({"prompt.size_px": 2, "seed": 7})


def test_flat_values_rebuild_the_configuration() -> None:
    assert TrialConfig().with_values(FULL.flat()) == FULL


@pytest.mark.parametrize(
    ("method", "needs_teacher", "num_epochs"),
    [
        ("tdmr", True, 30),
        ("scratch", False, 30),
        ("self_training", False, 60),
        ("linear_probe", True, 1),
        ("frozen_target", False, 1),
        ("majority", False, 1),
    ],
)
def test_method_decides_on_teacher_and_epochs(method: str, needs_teacher: bool, num_epochs: int) -> None:
    config = FULL.replace(method=method)
    assert (config.needs_teacher, config.num_epochs) == (needs_teacher, num_epochs)
