"""View k of image i is the same picture in every batch and order."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tdmr_ray.data.views import ViewConfig, Views, uniform_draws

STILL = ViewConfig(rotation_deg=0, scale=0, shear=0, shift=0, contrast=0, brightness=0)


def images(count: int = 20) -> Tensor:
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


def views(config: ViewConfig | None = None, *, seed: int = 0, mirror: bool = False) -> Views:
    return Views(images(), config or ViewConfig(), seed=seed, mirror=mirror)


@pytest.mark.parametrize("mix", [0.0, 0.6])
@pytest.mark.parametrize("rows", [[3], [3, 4], [9, 3, 0, 3]])
def test_a_view_does_not_depend_on_its_batch(mix: float, rows: list[int]) -> None:
    source = views(ViewConfig(mix=mix), mirror=True)
    whole = source.batch(torch.arange(20), 2)
    some = source.batch(torch.tensor(rows), 2)
    assert torch.equal(some.images, whole.images[rows])
    assert torch.equal(some.partner, whole.partner[rows])
    assert torch.equal(some.ratio, whole.ratio[rows])


def test_strength_is_a_factor_on_every_distortion() -> None:
    halves = {name: value / 2 for name, value in ViewConfig().model_dump().items() if name not in ("strength", "mix")}
    expected = views(ViewConfig(**halves)).batch(torch.arange(20), 1).images
    half = views(ViewConfig(strength=0.5)).batch(torch.arange(20), 1).images
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


@pytest.mark.parametrize("config", [STILL, ViewConfig(strength=0)])
def test_without_strength_a_view_is_its_image(config: ViewConfig) -> None:
    batch = views(config).batch(torch.arange(20), 3)
    torch.testing.assert_close(batch.images, images().float() / 255, atol=1e-5, rtol=0)
    assert torch.equal(batch.partner, torch.arange(20))
    assert torch.equal(batch.ratio, torch.ones(20))


def test_mirror_turns_half_of_the_views() -> None:
    original = images().float() / 255
    shown = views(STILL, mirror=True).batch(torch.arange(20), 0).images
    turned = [torch.allclose(shown[row], original[row].flip(-1), atol=1e-4) for row in range(20)]
    same = [torch.allclose(shown[row], original[row], atol=1e-4) for row in range(20)]
    assert all(a != b for a, b in zip(turned, same, strict=True))
    assert 4 <= sum(turned) <= 16


def test_mixed_views_hold_both_images_by_their_ratio() -> None:
    source = Views(
        torch.stack([torch.zeros(3, 16, 16), torch.full((3, 16, 16), 255.0)]).to(torch.uint8),
        STILL.model_copy(update={"mix": 1.0}),
        seed=0,
        mirror=False,
    )
    batch = source.batch(torch.zeros(200, dtype=torch.int64), torch.arange(200))
    foreign = batch.partner == 1
    assert 60 < foreign.sum() < 140
    torch.testing.assert_close(batch.images.mean(dim=(1, 2, 3))[foreign], 1 - batch.ratio[foreign], atol=1e-5, rtol=0)
    assert batch.images.max() <= 1


@pytest.mark.parametrize("mix", [0.25, 0.75])
def test_share_of_mixed_views(mix: float) -> None:
    ratio = views(ViewConfig(mix=mix)).batch(torch.arange(20).repeat(50), torch.arange(50).repeat_interleave(20)).ratio
    assert (ratio < 1).float().mean() == pytest.approx(mix, abs=0.06)


def test_draws_are_uniform_and_uncorrelated() -> None:
    rows, numbers = np.divmod(np.arange(40_000), 200)
    draws = uniform_draws(0, rows, numbers)
    assert draws.shape == (40_000, 16)
    assert 0 <= draws.min() < draws.max() < 1
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.01
    assert np.abs(np.corrcoef(draws.T) - np.eye(16)).max() < 0.03
    neighbours = np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]
    assert abs(neighbours) < 0.03


def test_augmentation_runs_on_the_device() -> None:
    """The meta device refuses operands of other devices, as a GPU does."""
    config = ViewConfig(mix=0.5)
    views = Views(images(), config, seed=0, mirror=True, device=torch.device("meta"))
    view = views.batch(torch.arange(4), 3)
    assert view.images.device.type == "meta"
    assert {view.rows.device.type, view.partner.device.type, view.ratio.device.type} == {"cpu"}
