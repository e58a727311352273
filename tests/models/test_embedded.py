"""The built-in foundations: training data, stored files, and reproducible pretraining."""

import hashlib
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator

from tdmr_ray.data.distort import distort
from tdmr_ray.data.glyphs import GLYPH_SIZE_PX, is_letter, render_glyphs
from tdmr_ray.models.embedded import EMBEDDED, load_card, load_embedded, load_weights, weights_path
from tdmr_ray.models.embedded.architectures import Kind, build_glyph_network
from tdmr_ray.models.embedded.card import write_weights
from tdmr_ray.models.embedded.letters import HELD_OUT_FONTS, LETTERS, TRAIN_FONTS
from tdmr_ray.models.embedded.pretrain import Recipe, evaluate_source, pretrain
from tdmr_ray.models.embedded.probe import choose_shots, load_probe_digits, probe_accuracy

NAMES = sorted(EMBEDDED)
MAX_FILE_BYTES = 4 * 2**20
TINY_FONTS = ("DejaVuSans", "cmr10")


def test_no_class_is_a_digit_and_all_are_latin_greek_or_cyrillic() -> None:
    assert len(set(LETTERS)) == len(LETTERS) >= 180
    for letter in LETTERS:
        assert unicodedata.category(letter).startswith("L")
        assert unicodedata.numeric(letter, None) is None
        assert unicodedata.name(letter).split()[0] in {"LATIN", "GREEK", "CYRILLIC"}


@pytest.mark.parametrize(("character", "expected"), [("A", True), ("ж", True), ("²", False), ("½", False)])
def test_is_letter(character: str, expected: bool) -> None:
    assert is_letter(character) is expected


def test_fonts_for_the_test_are_not_trained_on() -> None:
    assert not set(HELD_OUT_FONTS) & set(TRAIN_FONTS)


def test_renderer_gives_the_same_glyphs_again() -> None:
    first, second = render_glyphs("Aйß", TINY_FONTS), render_glyphs("Aйß", TINY_FONTS)
    assert torch.equal(first.images, second.images)
    assert first.images.shape == (4, GLYPH_SIZE_PX, GLYPH_SIZE_PX)
    assert first.images.dtype == torch.uint8
    assert first.labels.tolist() == [0, 1, 2, 0]  # Computer Modern is in TeX's encoding: ASCII letters only
    assert first.characters == ("A", "й", "ß")


def test_renderer_takes_another_script() -> None:
    armenian = render_glyphs("ԱԲԳ", ("DejaVuSans",))
    assert armenian.labels.tolist() == [0, 1, 2]
    assert armenian.images.flatten(1).amax(1).min() > 200


@pytest.mark.parametrize(
    ("characters", "fonts", "message"),
    [("A", ("NoSuchFont",), "font must be among"), ("й", ("cmr10",), "must be in at least one font")],
)
def test_renderer_refuses(characters: str, fonts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_glyphs(characters, fonts)


def test_augmentation_follows_its_generator() -> None:
    glyphs = render_glyphs("ABCДΩ", TINY_FONTS).images
    first, again, other = (distort(glyphs, Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (len(glyphs), 3, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 1


def test_augmentation_leaves_glyphs_and_global_generator_alone() -> None:
    glyphs = render_glyphs("AB", TINY_FONTS).images
    before, state = glyphs.clone(), torch.get_rng_state()
    distort(glyphs, Generator().manual_seed(0))
    assert torch.equal(glyphs, before)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", NAMES)
def test_stored_file_is_small_and_matches_its_card(name: str) -> None:
    content = weights_path(name).read_bytes()
    assert len(content) <= MAX_FILE_BYTES
    assert hashlib.sha256(content).hexdigest() == load_card(name)["sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_card_describes_data_and_figures(name: str) -> None:
    card = load_card(name)
    assert "".join(card["classes"]) == LETTERS
    assert 0.4 < card["training"]["held_out_fonts_accuracy"] < 1
    for shots in ("5_shots", "10_shots"):
        probe = card["linear_probe"][shots]
        assert probe["pretrained"] >= probe["random_weights"] + 0.08
        assert probe["pretrained"] >= probe["random_weights_calibrated"] + 0.08
        assert 0.7 < probe["pixel_svm"] < 1
    assert "/" not in card["command"]


@pytest.mark.parametrize("name", NAMES)
def test_loads_as_a_timm_network_that_can_be_frozen(name: str) -> None:
    model = load_embedded(name).requires_grad_(False)
    assert not model.training
    assert 0.5e6 <= sum(p.numel() for p in model.parameters()) <= 2e6
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    features = model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]
    assert features.shape == (2, model.num_features) == (2, model.head_hidden_size)
    logits = model.get_classifier()(features)  # type: ignore[operator]
    assert logits.shape == (2, len(LETTERS))
    torch.testing.assert_close(logits, model(images))
    logits.sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_pretrained_cfg_has_the_keys_of_timm(name: str) -> None:
    config = load_embedded(name).pretrained_cfg
    assert config["input_size"] == (3, 32, 32)  # type: ignore[index]
    assert len(config["mean"]) == len(config["std"]) == 3  # type: ignore[index]


def test_random_weights_follow_the_global_seed() -> None:
    torch.manual_seed(0)
    first = load_embedded("glyph_cnn", pretrained=False)
    second = load_embedded("glyph_cnn", pretrained=False)
    torch.manual_seed(0)
    again = load_embedded("glyph_cnn", pretrained=False)
    weights = [model.get_classifier().weight for model in (first, second, again)]  # type: ignore[operator]
    assert torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[0], weights[1])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="name must be one of"):
        load_embedded("glyph_mlp")
    with pytest.raises(ValueError, match="kind must be one of"):
        build_glyph_network("mlp", 3)  # type: ignore[arg-type]


def test_stored_weights_transfer_to_handwriting() -> None:
    accuracy = probe_accuracy(load_embedded("glyph_cnn"), load_probe_digits(), shots=10, seed=0)
    assert accuracy > 0.92


@pytest.mark.parametrize(("kind", "taught"), [("cnn", False), ("hybrid", False), ("vit", True)])
def test_pretraining_writes_a_loadable_file(kind: Kind, taught: bool, tmp_path: Path) -> None:
    glyphs = render_glyphs("ABC", TINY_FONTS)
    recipe = Recipe(steps=2, learning_rate=1e-3, batch_size=4)
    teacher = build_glyph_network("cnn", 3) if taught else None
    model = pretrain(kind, glyphs, recipe, 0, teacher)
    path = write_weights(model, tmp_path / "glyph.safetensors")
    loaded = build_glyph_network(kind, 3)
    load_weights(loaded, path)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(loaded.eval()(images), model.eval()(images), atol=0.05, rtol=0.05)
    assert 0 <= evaluate_source(loaded, glyphs) <= 1


def test_pretraining_follows_its_seed() -> None:
    glyphs = render_glyphs("ABC", TINY_FONTS)
    recipe = Recipe(steps=2, learning_rate=1e-3, batch_size=4)
    first, again, other = (pretrain("cnn", glyphs, recipe, seed, None).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not all(torch.equal(value, other[key]) for key, value in first.items())


def test_probe_shots_are_stratified_and_repeatable() -> None:
    digits = load_probe_digits()
    chosen = choose_shots(digits.pool_labels, 5, seed=0)
    assert np.bincount(digits.pool_labels[chosen]).tolist() == [5] * 10
    assert np.array_equal(chosen, choose_shots(digits.pool_labels, 5, seed=0))
    assert digits.pool_images.shape[1:] == (3, 32, 32)
    assert digits.pool_images.dtype == torch.uint8
