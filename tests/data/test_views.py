"""View k of image i is the same picture in every batch and order."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from tdmr_ray.data.builtin import load_digits
from tdmr_ray.data.preset import Preset
from tdmr_ray.data.views import PRESETS, ViewConfig, Views, ViewSettings, resolve_views, uniform_draws
from tdmr_ray.data.views.colours import colour_matrices
from tdmr_ray.data.views.draws import NUM_DRAWS, Draw
from tdmr_ray.data.views.geometry import affine_matrices
from tdmr_ray.data.views.patches import gaussian_blur
from tdmr_ray.data.views.single import Single

STILL = ViewSettings()
DOCUMENT, PHOTO = PRESETS["document"], PRESETS["photo"]
EVERYTHING = replace(PHOTO, blur=0.5, erase=0.5, single=0.7, scale=0.2, shear=0.1, shift=0.1)


def images(count: int = 20) -> Tensor:
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def smooth_images(count: int = 200, px: int = 32) -> Tensor:
    """One image many times: a colour that changes slowly across it."""
    ramp = torch.linspace(40, 200, px)
    one = torch.stack([ramp.expand(px, px), ramp.flip(0).expand(px, px), ramp[:, None].expand(px, px)])
    return one.to(torch.uint8).expand(count, -1, -1, -1)


def views(settings: ViewSettings = DOCUMENT, *, seed: int = 0) -> Views:
    return Views(images(), settings, seed=seed)


def many_views(settings: ViewSettings) -> Tensor:
    """200 views of one smooth image."""
    return Views(smooth_images(), settings, seed=0).batch(torch.arange(200), 0).images


@pytest.mark.parametrize(
    "settings", [DOCUMENT, EVERYTHING, replace(EVERYTHING, mix=0.6)], ids=["document", "all", "mix"]
)
@pytest.mark.parametrize("rows", [[3], [3, 4], [9, 3, 0, 3]])
def test_a_view_does_not_depend_on_its_batch(settings: ViewSettings, rows: list[int]) -> None:
    for number in range(4):
        whole = views(settings).batch(torch.arange(20), number)
        some = views(settings).batch(torch.tensor(rows), number)
        assert torch.equal(some.images, whole.images[rows])
        assert torch.equal(some.partner, whole.partner[rows])
        assert torch.equal(some.ratio, whole.ratio[rows])


def document_views_of_the_second_edition(source: Tensor, draws: Tensor, *, mirror: bool) -> Tensor:
    """The whole augmentation before there were presets, with its default strengths."""
    spread = draws * 2 - 1
    angle = spread[:, 0] * (15.0 * np.pi / 180)
    size, aspect = 1 / (1 + 0.2 * spread[:, 1]), 1 + 0.2 / 3 * spread[:, 2]
    cos, sin, shear, shift = angle.cos(), angle.sin(), 0.2 * spread[:, 3], 2 * 0.1 * spread[:, 4:6]
    top = torch.stack([cos * size * aspect, (shear * cos - sin) * size, shift[:, 0]], dim=1)
    bottom = torch.stack([sin * size, (shear * sin + cos) * size / aspect, shift[:, 1]], dim=1)
    theta = torch.stack([top, bottom], dim=1).float()
    if mirror:
        theta[:, :, 0] *= torch.where(draws[:, 8] < 0.5, -1.0, 1.0)[:, None]
    grid = affine_grid(theta, list(source.shape), align_corners=False)
    moved = grid_sample(source / 255.0, grid, mode="bilinear", padding_mode="border", align_corners=False)
    gain, lift = (1 + 0.3 * spread[:, 6])[:, None, None, None], (0.1 * spread[:, 7])[:, None, None, None]
    return ((moved - 0.5) * gain + 0.5 + lift).clamp(0, 1)


@pytest.mark.parametrize("mirror", [False, True])
def test_views_of_documents_are_bit_for_bit_those_of_the_second_edition(mirror: bool) -> None:
    digits = load_digits().images[:64]
    rows = np.arange(64)
    for number in (0, 5):
        draws = torch.from_numpy(uniform_draws(3, rows, np.full(64, number)))
        expected = document_views_of_the_second_edition(digits.float(), draws, mirror=mirror)
        settings = resolve_views(ViewConfig(mirror=mirror), "document")
        shown = Views(digits, settings, seed=3).batch(torch.from_numpy(rows), number).images
        assert torch.equal(shown, expected)


def test_first_draws_are_those_of_the_second_edition() -> None:
    """Numbers may be added at the end only; otherwise every view and every stored teacher output would change."""
    known = [0.39395159, 0.98869467, 0.77382153]
    assert uniform_draws(7, np.array([11]), np.array([2]))[0, [0, 8, 15]] == pytest.approx(known, abs=1e-7)


def test_strength_is_a_factor_on_every_distortion() -> None:
    apart = ("strength", "mix", "mirror", "single")
    full = replace(EVERYTHING, single=0)
    halves = {name: value / 2 for name, value in asdict(full).items() if name not in apart}
    expected = views(replace(full, **halves)).batch(torch.arange(20), 1).images
    half = views(replace(full, strength=0.5)).batch(torch.arange(20), 1).images
    torch.testing.assert_close(half, expected, atol=1e-4, rtol=0)


def test_seed_view_and_row_each_make_another_picture() -> None:
    rows = torch.tensor([1])
    first = views().batch(rows, 0).images
    assert torch.equal(first, views().batch(rows, 0).images)
    assert not torch.equal(first, views().batch(rows, 1).images)
    assert not torch.equal(first, views(seed=1).batch(rows, 0).images)


def test_a_batch_may_hold_different_views() -> None:
    mixed = views().batch(torch.tensor([1, 2]), torch.tensor([5, 7])).images
    assert torch.equal(mixed[1], views().batch(torch.tensor([2]), 7).images[0])


@pytest.mark.parametrize(
    "settings", [STILL, replace(EVERYTHING, strength=0, mirror=False)], ids=["still", "strength 0"]
)
def test_without_strength_a_view_is_its_image(settings: ViewSettings) -> None:
    batch = views(settings).batch(torch.arange(20), 3)
    torch.testing.assert_close(batch.images, images().float() / 255, atol=1e-5, rtol=0)
    assert torch.equal(batch.partner, torch.arange(20))
    assert torch.equal(batch.ratio, torch.ones(20))


def test_mirror_turns_half_of_the_views() -> None:
    original = images().float() / 255
    shown = views(replace(STILL, mirror=True)).batch(torch.arange(20), 0).images
    turned = [torch.allclose(shown[row], original[row].flip(-1), atol=1e-4) for row in range(20)]
    same = [torch.allclose(shown[row], original[row], atol=1e-4) for row in range(20)]
    assert all(a != b for a, b in zip(turned, same, strict=True))
    assert 4 <= sum(turned) <= 16


def test_mixed_views_hold_both_images_by_their_ratio() -> None:
    source = Views(
        torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 255.0)]).to(torch.uint8),
        replace(STILL, mix=1.0),
        seed=0,
    )
    batch = source.batch(torch.zeros(200, dtype=torch.int64), torch.arange(200))
    foreign = batch.partner == 1
    assert 60 < foreign.sum() < 140
    torch.testing.assert_close(batch.images.mean(dim=(1, 2, 3))[foreign], 1 - batch.ratio[foreign], atol=1e-5, rtol=0)
    assert batch.images.max() <= 1


@pytest.mark.parametrize("mix", [0.25, 0.75])
def test_share_of_mixed_views(mix: float) -> None:
    ratio = (
        views(replace(STILL, mix=mix)).batch(torch.arange(20).repeat(50), torch.arange(50).repeat_interleave(20)).ratio
    )
    assert (ratio < 1).float().mean() == pytest.approx(mix, abs=0.06)


def test_draws_are_uniform_and_uncorrelated() -> None:
    rows, numbers = np.divmod(np.arange(40_000), 200)
    draws = uniform_draws(0, rows, numbers)
    assert draws.shape == (40_000, NUM_DRAWS)
    assert 0 <= draws.min() < draws.max() < 1
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.01
    assert np.abs(np.corrcoef(draws.T) - np.eye(NUM_DRAWS)).max() < 0.03
    neighbours = np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]
    assert abs(neighbours) < 0.03


def test_augmentation_runs_on_the_device() -> None:
    """The meta device refuses operands of other devices, as a GPU does."""
    views = Views(images(), replace(EVERYTHING, mix=0.5), seed=0, device=torch.device("meta"))
    view = views.batch(torch.arange(20), 3)
    assert view.images.device.type == "meta"
    assert {view.rows.device.type, view.partner.device.type, view.ratio.device.type} == {"cpu"}


RESOLVED: list[tuple[ViewConfig, Preset, ViewSettings]] = [
    (ViewConfig(), "document", DOCUMENT),
    (ViewConfig(), "photo", PHOTO),
    (ViewConfig(preset="none"), "photo", ViewSettings()),
    (ViewConfig(preset="document"), "photo", DOCUMENT),
    (ViewConfig(preset="photo"), "document", PHOTO),
    (ViewConfig(mirror=False, hue_deg=0.0), "photo", replace(PHOTO, mirror=False, hue_deg=0.0)),
    (ViewConfig(mirror=True), "document", replace(DOCUMENT, mirror=True)),
    (ViewConfig(preset="none", rotation_deg=3.0), "photo", ViewSettings(rotation_deg=3.0)),
    (ViewConfig(strength=0.5, mix=0.25), "photo", replace(PHOTO, strength=0.5, mix=0.25)),
]


@pytest.mark.parametrize(("config", "preset", "expected"), RESOLVED)
def test_given_settings_override_those_of_the_preset(
    config: ViewConfig, preset: Preset, expected: ViewSettings
) -> None:
    assert resolve_views(config, preset) == expected


def test_documents_are_never_mirrored_and_photographs_are() -> None:
    assert (DOCUMENT.mirror, PHOTO.mirror, PRESETS["none"]) == (False, True, ViewSettings())


def test_config_and_settings_have_the_same_names() -> None:
    assert set(ViewConfig.model_fields) - {"preset", "seed"} == set(asdict(ViewSettings()))


def test_a_crop_lies_inside_its_image_and_has_a_log_uniform_area() -> None:
    """In an image whose red is the column and whose blue is the row, colours tell the box."""
    shown = many_views(ViewSettings(crop=0.75, crop_ratio=0.33))
    low, high = 40 / 255, 200 / 255
    width, height = (
        (shown[:, channel].amax((1, 2)) - shown[:, channel].amin((1, 2))) / (high - low) for channel in (0, 2)
    )
    area = width * height
    assert low - 0.01 <= shown.min() and shown.max() <= high + 0.01
    assert 0.2 < area.min() < 0.32 and 0.9 < area.max() < 1.1
    assert area.log().mean() == pytest.approx(np.log(0.25) / 2, abs=0.1)
    assert 0.6 < (width / height).min() < 0.9 < 1.1 < (width / height).max() < 1.6


def test_saturation_and_hue_keep_greys_and_brightness() -> None:
    angle, factor = torch.linspace(-3, 3, 9), torch.linspace(0, 2, 9)
    matrices = colour_matrices(factor, angle)
    luma = torch.tensor([0.213, 0.715, 0.072])
    torch.testing.assert_close(matrices.sum(dim=2), torch.ones(9, 3))
    torch.testing.assert_close(luma @ matrices, luma.expand(9, 3), atol=2e-3, rtol=0)


def test_colours_by_hand() -> None:
    identity, grey = colour_matrices(torch.tensor([1.0, 0.0]), torch.zeros(2))
    torch.testing.assert_close(identity, torch.eye(3))
    torch.testing.assert_close(grey @ torch.tensor([1.0, 0.0, 0.0]), torch.full((3,), 0.213))
    turned = colour_matrices(torch.ones(1), torch.tensor([2 * np.pi / 3], dtype=torch.float32))[0]
    assert (turned @ torch.tensor([1.0, 0.0, 0.0])).argmax() == 1


def test_blur_is_a_gaussian_that_keeps_flat_areas_and_the_mean() -> None:
    dot = torch.zeros(2, 3, 15, 15)
    dot[:, :, 7, 7] = 1
    blurred = gaussian_blur(dot, torch.tensor([0.5, 1.0]), radius=4)
    torch.testing.assert_close(blurred.sum(dim=(2, 3)), torch.ones(2, 3))
    ratio = blurred[:, 0, 7, 8] / blurred[:, 0, 7, 7]
    torch.testing.assert_close(ratio, torch.tensor([-2.0, -0.5]).exp())
    flat = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(gaussian_blur(flat, torch.tensor([1.0]), radius=2), flat)


@pytest.mark.parametrize("name", ["blur", "erase"])
def test_only_a_fraction_of_the_views_is_blurred_or_erased(name: str) -> None:
    px = 128 if name == "blur" else 32
    source = torch.randint(0, 256, (1, 3, px, px), dtype=torch.uint8).expand(200, -1, -1, -1)
    still, changed = (
        Views(source, replace(STILL, **{name: share}), seed=0).batch(torch.arange(200), 0).images
        for share in (0.0, 0.25)
    )
    differs = (still != changed).flatten(1).any(dim=1)
    assert 0.15 < differs.float().mean() < 0.35


def test_erased_boxes_are_grey_and_cover_2_to_20_percent() -> None:
    white = torch.full((200, 3, 32, 32), 255, dtype=torch.uint8)
    shown = Views(white, ViewSettings(erase=1.0), seed=0).batch(torch.arange(200), 0).images
    assert set(shown.unique().tolist()) == {0.5, 1.0}
    covered = (shown == 0.5).float().mean(dim=(1, 2, 3))
    assert covered.min() > 0 and 0.15 < covered.max() < 0.23


def test_a_single_operation_is_one_of_the_table_and_leaves_the_other_views_alone() -> None:
    still, changed = many_views(STILL), many_views(ViewSettings(single=0.5))
    rows = np.arange(200)
    draws = uniform_draws(0, rows, np.zeros(200, np.int64))
    differs = (changed - still).abs().flatten(1).amax(dim=1) > 1e-3
    assert not differs[torch.from_numpy(draws[:, Draw.SINGLE] >= 0.5)].any()
    chosen = (draws[:, Draw.SINGLE_OPERATION] * len(Single)).astype(int)
    seen = {Single(operation) for operation in chosen[differs.numpy()]}
    assert seen >= set(Single) - {Single.SHARPEN}
    assert 0.3 < differs.float().mean() < 0.6


@pytest.mark.parametrize("preset", ["photo", "document"])
def test_views_stay_in_the_range_of_colours(preset: Preset) -> None:
    shown = views(replace(PRESETS[preset], single=0.5)).batch(torch.arange(20), 0).images
    assert shown.min() >= 0 and shown.max() <= 1
    assert shown.isfinite().all()


@pytest.mark.parametrize(
    ("size", "aspect"), [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (1.0, -1.0)]
)
def test_scale_changes_size_and_by_a_third_of_it_the_height_and_inversely_the_width(size: float, aspect: float) -> None:
    """The map leads from a view's pixels to the image's, so that its diagonal holds the inverse factors."""
    draws = torch.full((1, NUM_DRAWS), 0.5)
    draws[0, Draw.SCALE], draws[0, Draw.ASPECT] = (1 + size) / 2, (1 + aspect) / 2
    matrix = affine_matrices(draws, torch.zeros(1, len(Single)), ViewSettings(scale=0.3))[0]
    width, height = 1 / matrix[0, 0].item(), 1 / matrix[1, 1].item()
    assert height == pytest.approx((1 + 0.3 * size) * (1 + 0.1 * aspect))
    assert width == pytest.approx((1 + 0.3 * size) / (1 + 0.1 * aspect))
