"""Contract of every prompt."""

import pytest
import torch

from tdmr_ray.method.prompts import (
    PROMPTS,
    BorderPrompt,
    MaskedPrompt,
    MaskNetwork,
    OverlayPrompt,
    Prompt,
    build_prompt,
    frame_mask,
    resize,
)

PIXELS = [kind for kind in PROMPTS if kind != "tokens"]


def build(kind: str, size_px: int, image_px: int) -> Prompt:
    return build_prompt(kind, size_px=size_px, image_px=image_px, patch_px=2, num_tokens=3, token_dim=6).eval()


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("size_px", [0, 1, 3, 7])
@pytest.mark.parametrize("image_px", [8, 16, 20])
def test_output_is_an_image_of_the_foundations_size(kind: str, size_px: int, image_px: int) -> None:
    out = build(kind, size_px, 16)(torch.rand(2, 3, image_px, image_px))
    assert out.shape == (2, 3, 16, 16)
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.parametrize("kind", PIXELS)
def test_without_width_it_only_resizes_and_learns_nothing(kind: str) -> None:
    prompt, images = build(kind, 0, 16), torch.rand(2, 3, 9, 9)
    assert torch.equal(prompt(images), resize(images, 16))
    assert list(prompt.parameters()) == []


@pytest.mark.parametrize("kind", PIXELS)
def test_gradients_reach_the_frame_and_only_the_frame(kind: str) -> None:
    prompt = build(kind, 2, 8)
    prompt(torch.full((1, 3, 8, 8), 0.5)).sum().backward()
    assert prompt.delta is not None
    assert prompt.delta.grad is not None
    assert torch.equal(prompt.delta.grad[0] != 0, frame_mask(2, 8).bool())


@pytest.mark.parametrize("kind", ["border", "overlay"])
@pytest.mark.parametrize("size_px", [-1, 8, 9])
def test_a_frame_without_room_is_refused(kind: str, size_px: int) -> None:
    with pytest.raises(ValueError, match="size_px < image_px / 2"):
        build(kind, size_px, 16)


@pytest.mark.parametrize("kind", PROMPTS)
def test_picture_shows_the_prompt(kind: str) -> None:
    picture = build(kind, 2, 8).picture()
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


@pytest.mark.parametrize("kind", PROMPTS)
def test_an_images_prompt_does_not_depend_on_its_batch(kind: str) -> None:
    prompt, images = build(kind, 3, 16), torch.rand(4, 3, 16, 16)
    for parameter in prompt.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    alone = torch.cat([prompt(image.unsqueeze(0)) for image in images])
    torch.testing.assert_close(prompt(images), alone)


def test_unknown_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        build_prompt("frame", size_px=2, image_px=16)


def test_a_mask_weighs_the_same_pixels_for_each_image() -> None:
    prompt, images = MaskedPrompt(8, 16, 4).eval(), 0.2 + 0.6 * torch.rand(2, 3, 16, 16)
    assert torch.equal(prompt(images), images)
    assert prompt.delta is not None
    assert prompt.mask is not None
    torch.nn.init.constant_(prompt.delta, 0.1)
    expected = images + torch.tanh(torch.tensor(0.1)) * prompt.mask(images)
    torch.testing.assert_close(prompt(images), expected.clamp(0, 1))
    assert not torch.equal(prompt.mask(images)[0], prompt.mask(images)[1])


@pytest.mark.parametrize("patch_px", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("image_px", [16, 20])
def test_a_mask_is_constant_on_patches(patch_px: int, image_px: int) -> None:
    mask = MaskNetwork(patch_px).eval()(torch.rand(1, 3, image_px, image_px))
    assert mask.shape == (1, 3, image_px, image_px)
    coarse = mask[..., ::patch_px, ::patch_px]
    again = coarse.repeat_interleave(patch_px, 2).repeat_interleave(patch_px, 3)[..., :image_px, :image_px]
    assert torch.equal(mask, again)


def test_the_mask_network_is_the_papers() -> None:
    assert sum(parameter.numel() for parameter in MaskNetwork(8).parameters()) == 26_499
    with pytest.raises(ValueError, match="1, 2, 4, 8 or 16"):
        MaskNetwork(3)


def test_a_mask_may_cover_the_whole_image_and_no_more() -> None:
    assert MaskedPrompt(8, 16).delta is not None
    with pytest.raises(ValueError, match="size_px"):
        MaskedPrompt(9, 16)


def test_tokens_leave_the_picture_alone_and_need_a_transformer() -> None:
    prompt = build("tokens", 0, 16)
    assert prompt.tokens is not None
    assert prompt.tokens.shape == (3, 6)
    assert prompt.tokens.abs().max() <= (6 / 9) ** 0.5
    with pytest.raises(ValueError, match="transformer"):
        build_prompt("tokens", size_px=0, image_px=16, token_dim=0)
