"""Near-identical images are found by their hash; distinct and mirrored ones are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from tdmr_ray.data.near_duplicates import BLOCK, THRESHOLD, near_groups, near_pairs, perceptual_hashes


def picture(seed: int) -> Image.Image:
    """Draw a smooth picture with some detail."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
    return coarse.resize((120, 120), Image.Resampling.BICUBIC)


def as_batch(*pictures: Image.Image) -> Tensor:
    arrays = [np.asarray(each.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)) for each in pictures]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def reencoded(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


def far_apart(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**63, (count, 4), dtype=np.uint64)


@pytest.mark.parametrize(
    ("change", "near"),
    [
        (reencoded, True),
        (lambda image: image.resize((80, 80)), True),
        (lambda image: ImageEnhance.Brightness(image).enhance(1.1), True),
        (lambda image: ImageEnhance.Brightness(image).enhance(0.9), True),
        (ImageOps.mirror, False),
        (lambda _: picture(99), False),
    ],
)
def test_copies_of_an_image_are_near_and_others_are_not(
    change: Callable[[Image.Image], Image.Image], near: bool
) -> None:
    originals = [picture(seed) for seed in range(8)]
    hashes = perceptual_hashes(as_batch(*originals, *map(change, originals)))
    found = near_pairs(hashes, np.arange(8), np.arange(8, 16))
    assert found.tolist() == ([[row, row + 8] for row in range(8)] if near else [])


def test_hash_has_256_bits() -> None:
    hashes = perceptual_hashes(as_batch(picture(0), picture(1)))
    assert (hashes.shape, hashes.dtype) == ((2, 4), np.uint64)
    assert perceptual_hashes(torch.zeros(0, 3, 8, 8, dtype=torch.uint8)).shape == (0, 4)
    assert len(perceptual_hashes(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))) == 2


def test_pairs_come_once_and_in_order_within_the_threshold() -> None:
    hashes = far_apart(6)
    hashes[4], hashes[1] = hashes[0], hashes[0]
    hashes[1, 0] ^= np.uint64(2**THRESHOLD - 1)
    hashes[5] = hashes[2]
    hashes[5, 0] ^= np.uint64(2 ** (THRESHOLD + 1) - 1)
    rows = np.arange(6)
    assert near_pairs(hashes, rows, rows).tolist() == [[0, 1], [0, 4], [1, 4]]
    assert near_pairs(hashes, rows[3:], rows[:3]).tolist() == [[4, 0], [4, 1]]
    assert near_pairs(hashes, rows, rows, most=2).shape == (2, 2)
    assert near_pairs(hashes, rows[:0], rows).shape == (0, 2)
    assert near_pairs(hashes, rows, rows, threshold=THRESHOLD + 1).tolist()[-1] == [2, 5]


def test_chains_of_near_images_are_one_group() -> None:
    hashes = far_apart(5)
    hashes[2], hashes[4] = hashes[0], hashes[0]
    hashes[2, 0] ^= np.uint64(2**THRESHOLD - 1)
    hashes[4, 0] ^= np.uint64(2**THRESHOLD - 1)
    hashes[4, 1] ^= np.uint64(2**THRESHOLD - 1)
    groups = near_groups(hashes)
    assert groups[0] == groups[2] == groups[4]
    assert len(set(groups.tolist())) == 3
    assert near_groups(hashes[:0]).shape == (0,)


def test_groups_cross_the_borders_of_blocks() -> None:
    count = BLOCK[1] + 10
    hashes = far_apart(count)
    hashes[-1], hashes[BLOCK[0] + 1] = hashes[0], hashes[1]
    groups = near_groups(hashes)
    assert groups[-1] == groups[0]
    assert groups[BLOCK[0] + 1] == groups[1]
    assert len(np.unique(groups)) == count - 2
