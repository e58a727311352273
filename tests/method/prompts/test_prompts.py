"""Every prompt keeps its contract; border, overlay, masked and token prompts match values worked out by hand."""

from typing import Any

import pytest
import torch
from helpers.contracts import contract_of
from pydantic import ValidationError

from tdmr_ray.method.prompts import PROMPTS, BorderPrompt, MaskedPrompt, OverlayPrompt, Prompt, TokenPrompt
from tdmr_ray.method.prompts.masked import MaskNetwork
from tdmr_ray.method.prompts.prompt import frame_mask
from tdmr_ray.method.resize import resize
from tdmr_ray.testing import PromptContract, check_groups
from tdmr_ray.testing.component import TASK, foundation_shape

WITH_WIDTH = [kind for kind, prompt in PROMPTS.items() if "size_px" in prompt.Config.model_fields]
FRAMES: dict[str, type[BorderPrompt] | type[OverlayPrompt] | type[MaskedPrompt]] = {
    "border": BorderPrompt,
    "overlay": OverlayPrompt,
    "masked": MaskedPrompt,
}


@contract_of(PROMPTS, {"size_px": 1}, {"size_px": 3}, {"size_px": 7})
class TestContract(PromptContract):
    pass


def build(kind: str, size_px: int = 2, image_px: int = 16) -> Prompt:
    """Build a prompt in evaluation mode; the width counts for kinds that have one."""
    values: dict[str, Any] = {"kind": kind} | ({"size_px": size_px} if kind in WITH_WIDTH else {})
    config = PROMPTS[kind].Config.model_validate(values)
    return PROMPTS[kind](config, foundation_shape(image_px=image_px)).eval()


def border(size_px: int, image_px: int = 16) -> BorderPrompt:
    return BorderPrompt(BorderPrompt.Config(size_px=size_px), foundation_shape(image_px=image_px))


def overlay(size_px: int, image_px: int = 16) -> OverlayPrompt:
    return OverlayPrompt(OverlayPrompt.Config(size_px=size_px), foundation_shape(image_px=image_px))


def masked(size_px: int, image_px: int = 16) -> MaskedPrompt:
    return MaskedPrompt(MaskedPrompt.Config(size_px=size_px), foundation_shape(image_px=image_px)).eval()


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("size_px", [0, 2])
def test_parameter_groups_hold_every_trained_parameter_once(kind: str, size_px: int) -> None:
    prompt = build(kind, size_px)
    check_groups(prompt.parameter_groups(), prompt)
    assert prompt.learns == bool(prompt.parameter_groups())
    assert all(group.weight_decay == 0 for group in prompt.parameter_groups())


@pytest.mark.parametrize("kind", WITH_WIDTH)
def test_picture_is_the_prompted_image_and_carries_no_gradient(kind: str) -> None:
    prompt = build(kind, 2, 8)
    for parameter in prompt.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    picture = prompt.picture()
    assert picture is not None
    assert not picture.requires_grad
    plain = torch.full((1, 3, 8, 8), 0.0 if kind == "border" else 0.5)
    torch.testing.assert_close(picture, prompt(plain)[0].detach())
    assert build(kind, 0, 8).picture() is None


def test_picture_of_a_masked_prompt_leaves_its_mode_and_statistics_alone() -> None:
    prompt = masked(2).train()
    before = {name: value.clone() for name, value in prompt.state_dict().items()}
    prompt.picture()
    assert prompt.training
    assert all(torch.equal(value, before[name]) for name, value in prompt.state_dict().items())


def test_tokens_have_no_picture() -> None:
    assert build("tokens").picture() is None


@pytest.mark.parametrize("kind", WITH_WIDTH)
def test_prompt_without_width_only_resizes_and_learns_nothing(kind: str) -> None:
    prompt, images = build(kind, 0), torch.rand(2, 3, 9, 9)
    assert torch.equal(prompt(images), resize(images, 16))
    assert list(prompt.parameters()) == []
    assert not prompt.learns


@pytest.mark.parametrize("kind", FRAMES)
def test_gradients_reach_the_frame_and_only_the_frame(kind: str) -> None:
    prompt = build(kind, 2, 8)
    assert isinstance(prompt, BorderPrompt | OverlayPrompt | MaskedPrompt)
    prompt(torch.full((1, 3, 8, 8), 0.5)).sum().backward()
    assert prompt.delta is not None
    assert prompt.delta.grad is not None
    assert torch.equal(prompt.delta.grad[0] != 0, frame_mask(2, 8).bool())


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize(("colour", "sign"), [(0.0, -1.0), (1.0, 1.0)])
def test_frame_over_saturated_pixels_learns_what_leads_away_from_saturation(
    kind: str, colour: float, sign: float
) -> None:
    """A loss that wants black pixels lighter, or white ones darker, has a gradient on the whole frame."""
    prompt = build(kind, 2, 8)
    assert isinstance(prompt, BorderPrompt | OverlayPrompt | MaskedPrompt)
    (sign * prompt(torch.full((1, 3, 8, 8), colour)).sum()).backward()
    assert prompt.delta is not None
    assert prompt.delta.grad is not None
    assert torch.equal(prompt.delta.grad[0] != 0, frame_mask(2, 8).bool())


@pytest.mark.parametrize("kind", ["overlay", "masked"])
@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_training_over_saturated_images_reaches_grey(kind: str, colour: float) -> None:
    prompt, images = build(kind, 2, 16), torch.full((2, 3, 16, 16), colour)
    optimizer = torch.optim.Adam(prompt.parameters(), lr=0.1)
    frame = frame_mask(2, 16).bool()
    before = (prompt(images)[..., frame] - 0.5).abs().mean().item()
    for _ in range(60):
        optimizer.zero_grad()
        (prompt(images)[..., frame] - 0.5).square().mean().backward()
        optimizer.step()
    assert before == pytest.approx(0.5)
    assert (prompt(images)[..., frame] - 0.5).abs().mean() < 0.2


def test_frame_mask_covers_the_edge() -> None:
    expected = torch.tensor([[1.0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]])
    assert torch.equal(frame_mask(1, 4), expected)
    assert torch.equal(frame_mask(2, 4), torch.ones(4, 4))


@pytest.mark.parametrize(
    ("kind", "size_px", "fits"),
    [
        ("border", 7, True),
        ("border", 8, False),
        ("overlay", 7, True),
        ("overlay", 8, False),
        ("masked", 8, True),
        ("masked", 9, False),
    ],
)
def test_check_limits_the_width(kind: str, size_px: int, fits: bool) -> None:
    problems = FRAMES[kind].Config(size_px=size_px).check(foundation_shape(), TASK)
    assert (problems == []) is fits
    assert all(problem.startswith("size_px: must be ") for problem in problems)
    assert all(problem.endswith(f"half of the 16 px that 'tiny' takes, got {size_px}") for problem in problems)


@pytest.mark.parametrize("kind", FRAMES)
def test_negative_width_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        FRAMES[kind].Config(size_px=-1)


def test_border_keeps_the_whole_image_inside() -> None:
    images = torch.rand(1, 3, 12, 12)
    assert torch.equal(border(2)(images)[:, :, 2:14, 2:14], images)


def test_border_shows_the_sigmoid_of_its_pixels() -> None:
    prompt = border(2)
    assert prompt.delta is not None
    torch.nn.init.constant_(prompt.delta, 1.5)
    expected = torch.sigmoid(torch.tensor(1.5)).item()
    assert prompt(torch.zeros(1, 3, 12, 12))[0, :, 0, 0].tolist() == pytest.approx([expected] * 3)


def test_border_starts_grey_and_takes_the_mean_colour_of_the_edges() -> None:
    prompt, images = border(2), torch.zeros(4, 3, 12, 12)
    assert prompt(images)[0, 0, 0, 0].item() == pytest.approx(0.5)
    images[:, 1, :, 1:-1] = 1.0  # green but for the first and the last column
    prompt.start_from(images)
    red, green, blue = prompt(images)[0, :, 0, 0].tolist()
    assert (red, blue) == (pytest.approx(0.02), pytest.approx(0.02))  # black is clamped to 0.02
    assert green == pytest.approx((10 + 10) / 48)  # of the four edges of 12 pixels, top and bottom have 10 green ones


def test_overlay_starts_as_the_identity_and_leaves_the_middle_alone() -> None:
    prompt, images = overlay(3), torch.rand(2, 3, 16, 16)
    assert torch.equal(prompt(images), images)
    assert prompt.delta is not None
    torch.nn.init.constant_(prompt.delta, 5.0)
    assert torch.equal(prompt(images)[:, :, 3:13, 3:13], images[:, :, 3:13, 3:13])
    assert prompt(images)[0, 0, 0, 0].item() == pytest.approx(1.0, abs=1e-3)


def test_overlay_adds_the_hyperbolic_tangent_of_its_pixels() -> None:
    prompt = overlay(1)
    assert prompt.delta is not None
    torch.nn.init.constant_(prompt.delta, 0.2)
    shown = prompt(torch.full((1, 3, 16, 16), 0.5))
    assert shown[0, 0, 0, 0].item() == pytest.approx(0.5 + torch.tanh(torch.tensor(0.2)).item())


def test_mask_weighs_the_same_pixels_for_each_image() -> None:
    prompt, images = masked(8), 0.2 + 0.6 * torch.rand(2, 3, 16, 16)
    assert torch.equal(prompt(images), images)
    assert prompt.delta is not None
    assert prompt.mask is not None
    torch.nn.init.constant_(prompt.delta, 0.1)
    expected = images + torch.tanh(torch.tensor(0.1)) * prompt.mask(images)
    torch.testing.assert_close(prompt(images), expected.clamp(0, 1))
    assert not torch.equal(prompt.mask(images)[0], prompt.mask(images)[1])


@pytest.mark.parametrize("patch_px", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("image_px", [16, 20])
def test_mask_is_constant_on_patches(patch_px: int, image_px: int) -> None:
    mask = MaskNetwork(patch_px).eval()(torch.rand(1, 3, image_px, image_px))
    assert mask.shape == (1, 3, image_px, image_px)
    coarse = mask[..., ::patch_px, ::patch_px]
    again = coarse.repeat_interleave(patch_px, 2).repeat_interleave(patch_px, 3)[..., :image_px, :image_px]
    assert torch.equal(mask, again)


def test_mask_network_has_the_parameters_of_the_paper() -> None:
    assert sum(parameter.numel() for parameter in MaskNetwork(8).parameters()) == 26_499


@pytest.mark.parametrize("patch_px", [0, 3, 32])
def test_patch_sizes_are_powers_of_two_up_to_16(patch_px: int) -> None:
    with pytest.raises(ValidationError, match="1, 2, 4, 8 or 16"):
        MaskedPrompt.Config.model_validate({"patch_px": patch_px})


def test_masked_prompt_trains_pixels_and_mask_at_their_own_learning_rates() -> None:
    prompt = MaskedPrompt(MaskedPrompt.Config(size_px=2, lr=0.3, mask_lr=0.02), foundation_shape())
    rates = {id(parameter): group.lr for group in prompt.parameter_groups() for parameter in group.parameters}
    assert prompt.mask is not None
    assert rates[id(prompt.delta)] == 0.3
    assert {rates[id(parameter)] for parameter in prompt.mask.parameters()} == {0.02}


def test_tokens_have_xavier_bounds_and_leave_the_image_alone() -> None:
    prompt = TokenPrompt(TokenPrompt.Config(num_tokens=40), foundation_shape(token_dim=60))
    bound, images = (6 / 100) ** 0.5, torch.rand(2, 3, 9, 9)
    assert prompt.extra_tokens().shape == (40, 60)
    assert 0.95 * bound < prompt.tokens.abs().max() <= bound
    assert torch.equal(prompt(images), resize(images, 16))


def test_tokens_need_a_plain_transformer() -> None:
    (problem,) = TokenPrompt.Config().check(foundation_shape(token_dim=0), TASK)
    assert problem == "kind: 'tokens' needs a plain transformer, and 'tiny' is none; leave it out"
    assert TokenPrompt.Config().check(foundation_shape(token_dim=3), TASK) == []
