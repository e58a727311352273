"""The data set `script`: alphabets and test fonts that are new to every foundation."""

import torch

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.glyphs import render_glyphs
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.script import SCRIPT_LETTERS, TEST_FONTS, TRAIN_FONTS, render_script
from tdmr_ray.models.embedded.letters import LETTERS


def test_letters_are_new_to_every_foundation() -> None:
    assert len(set(SCRIPT_LETTERS)) == 40
    assert not set(SCRIPT_LETTERS) & set(LETTERS)


def test_every_font_has_every_letter_and_test_has_fonts_of_its_own() -> None:
    for font in (*TRAIN_FONTS, *TEST_FONTS):
        assert len(render_glyphs(SCRIPT_LETTERS, [font]).labels) == 40
    assert not set(TRAIN_FONTS) & set(TEST_FONTS)


def test_rendering_is_deterministic_and_balanced() -> None:
    images, labels, in_test = render_script()
    assert images.shape == (2560, 3, 32, 32)
    assert torch.equal(images, render_script()[0])
    assert (labels[~in_test].bincount() == 40).all()
    assert (labels[in_test].bincount() == 24).all()


def test_the_test_fonts_are_the_test_split() -> None:
    images, _, in_test = render_script()
    task = load_task(DataConfig(name="script", shots=5, unlabeled=True))
    assert torch.equal(task.test.images, images[in_test])
    assert (task.num_labeled, len(task.train), len(task.val)) == (200, 1142, 458)
