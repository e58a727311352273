"""Images are resized bilinearly, with anti-aliasing when they shrink."""

import pytest
import torch

from tdmr_ray.method.resize import resize


def test_image_of_the_right_size_is_returned_unchanged() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert resize(images, 8) is images


@pytest.mark.parametrize("side_px", [3, 16, 21])
def test_constant_image_stays_constant(side_px: int) -> None:
    images = torch.full((1, 3, 8, 12), 0.25)
    torch.testing.assert_close(resize(images, side_px), torch.full((1, 3, side_px, side_px), 0.25))


def test_shrinking_averages_over_all_pixels() -> None:
    """Stripes of one pixel become grey; without anti-aliasing every second one would be lost."""
    stripes = (torch.arange(32) % 2).float().expand(1, 3, 32, 32)
    torch.testing.assert_close(resize(stripes, 4), torch.full((1, 3, 4, 4), 0.5), atol=0.02, rtol=0)
