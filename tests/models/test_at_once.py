"""Images pass a network in parts where memory counts, and all at once where gradients do."""

import pytest
import torch
from torch import Tensor

from tdmr_ray.models import at_once
from tdmr_ray.models.at_once import MAX_IMAGES, images_at_once, in_parts


@pytest.mark.parametrize(
    ("size_px", "device", "count"),
    [(16, "cpu", MAX_IMAGES), (32, "cpu", 256), (64, "cpu", 64), (96, "cpu", 28), (224, "cpu", 5), (4000, "cpu", 1)]
    + [(size_px, "cuda", MAX_IMAGES) for size_px in (32, 224)],
)
def test_number_of_images(size_px: int, device: str, count: int) -> None:
    assert images_at_once(size_px, torch.device(device)) == count


@pytest.mark.parametrize(("gradients", "sizes"), [(False, [3, 3, 1]), (True, [7])])
def test_parts_are_small_unless_gradients_are_needed(
    gradients: bool, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "CPU_PIXELS", 3 * 8**2)
    seen = []

    def mean(images: Tensor) -> Tensor:
        seen.append(len(images))
        return images.mean(dim=(2, 3))

    images = torch.rand(7, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.set_grad_enabled(gradients):
        found = in_parts(mean, images, 8)
    assert seen == sizes
    torch.testing.assert_close(found, images.mean(dim=(2, 3)))
