"""Contract of every prompt."""

import pytest
import torch

from tdmr_ray.method.prompts import PROMPTS, BorderPrompt, OverlayPrompt, frame_mask, resize


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("size_px", [0, 1, 3, 7])
@pytest.mark.parametrize("image_px", [8, 16, 20])
def test_output_is_an_image_of_the_foundations_size(kind: str, size_px: int, image_px: int) -> None:
    out = PROMPTS[kind](size_px, 16)(torch.rand(2, 3, image_px, image_px))
    assert out.shape == (2, 3, 16, 16)
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.parametrize("kind", PROMPTS)
def test_without_width_it_only_resizes_and_learns_nothing(kind: str) -> None:
    prompt, images = PROMPTS[kind](0, 16), torch.rand(2, 3, 9, 9)
    assert torch.equal(prompt(images), resize(images, 16))
    assert list(prompt.parameters()) == []


@pytest.mark.parametrize("kind", PROMPTS)
def test_gradients_reach_the_frame_and_only_the_frame(kind: str) -> None:
    prompt = PROMPTS[kind](2, 8)
    prompt(torch.full((1, 3, 8, 8), 0.5)).sum().backward()
    assert prompt.delta is not None
    assert prompt.delta.grad is not None
    assert torch.equal(prompt.delta.grad[0] != 0, frame_mask(2, 8).bool())


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("size_px", [-1, 8, 9])
def test_a_frame_without_room_is_refused(kind: str, size_px: int) -> None:
    with pytest.raises(ValueError, match="size_px < image_px / 2"):
        PROMPTS[kind](size_px, 16)


@pytest.mark.parametrize("kind", PROMPTS)
def test_picture_shows_the_prompt(kind: str) -> None:
    picture = PROMPTS[kind](2, 8).picture()
    assert picture.shape == (3, 8, 8)
    assert not picture.requires_grad


def test_border_keeps_the_whole_image_inside() -> None:
    images = torch.rand(1, 3, 12, 12)
    out = BorderPrompt(2, 16)(images)
    assert torch.equal(out[:, :, 2:14, 2:14], images)


def test_border_starts_grey_or_in_the_colour_of_the_edges() -> None:
    prompt, black = BorderPrompt(2, 16), torch.zeros(4, 3, 12, 12)
    assert prompt(black)[0, 0, 0, 0].item() == pytest.approx(0.5)
    prompt.start_from(black)
    assert prompt(black)[0, 0, 0, 0].item() == pytest.approx(0.02)


def test_overlay_starts_as_the_identity_and_leaves_the_middle_alone() -> None:
    prompt, images = OverlayPrompt(3, 16), torch.rand(2, 3, 16, 16)
    assert torch.equal(prompt(images), images)
    assert prompt.delta is not None
    torch.nn.init.constant_(prompt.delta, 5.0)
    assert torch.equal(prompt(images)[:, :, 3:13, 3:13], images[:, :, 3:13, 3:13])
    assert prompt(images)[0, 0, 0, 0].item() == pytest.approx(1.0, abs=1e-3)
