"""Near-identical images, such as re-encoded or resized copies, found by a perceptual hash.

The hash and its threshold were chosen by measurement, see `benchmarks/near_duplicates.py`. Few false pairs come first:
re-encoded, resized and brightened copies are found; crops by 5 % and shots shifted by 2 % are mostly missed, because
distinct images of one kind of object differ as little. A mirrored image is not a duplicate.
"""

from collections.abc import Iterator

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

HASH_SIDE = 16
"""Side of the square of frequencies in a hash, which has one bit for each."""
THRESHOLD = 24
"""Largest Hamming distance of near-identical images, in bits of 256."""
BLOCK = 256, 4096
"""Images that are compared at once; bounds the memory of a comparison to 12 MB."""

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


def perceptual_hashes(images: Tensor) -> Hashes:
    """Return a perceptual hash of each image, [N, 4]: signs of its low frequencies in grey, relative to their median.

    Args:
        images: [N, 3, H, W], uint8.

    Source: pHash, as `imagehash.phash` computes it.
    """
    bits = np.zeros((len(images), HASH_SIDE * HASH_SIDE), dtype=bool)
    for row, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        bits[row] = imagehash.phash(picture, hash_size=HASH_SIDE).hash.reshape(-1)
    return np.packbits(bits, axis=1).view(np.uint64)


def near_pairs(
    hashes: Hashes, rows_a: Rows, rows_b: Rows, *, most: int | None = None, threshold: int = THRESHOLD
) -> Rows:
    """Return pairs of near-identical images, [P, 2]: a row of `rows_a` and one of `rows_b`, in order.

    A pair of images that both appear on both sides comes once, the smaller row first; no image is paired with itself.

    Args:
        hashes: Hashes of all images.
        rows_a: Distinct rows of one side.
        rows_b: Distinct rows of the other side.
        most: Number of pairs after which the search stops; None finds all.
        threshold: Largest Hamming distance in bits.
    """
    on_a, on_b = (np.isin(np.arange(len(hashes)), rows) for rows in (rows_a, rows_b))
    found: list[Rows] = []
    count = 0
    for pairs in _blocks_of_pairs(hashes, rows_a, rows_b, threshold):
        i, j = pairs.T
        kept = pairs[(i < j) | ((i > j) & ~(on_a[j] & on_b[i]))]
        found.append(kept)
        count += len(kept)
        if most is not None and count >= most:
            break
    all_pairs = np.concatenate([np.empty((0, 2), dtype=np.int64), *found])
    return all_pairs[np.lexsort((all_pairs[:, 1], all_pairs[:, 0]))][:most]


def near_groups(hashes: Hashes, *, threshold: int = THRESHOLD) -> NDArray[np.int64]:
    """Return the group of each image, [N]: images that a chain of near-identical ones connects share a number."""
    count = len(hashes)
    rows = np.arange(count)
    found = [
        pairs
        for start in range(0, count, BLOCK[1])
        for pairs in _blocks_of_pairs(hashes, rows[start : start + BLOCK[1]], rows[start:], threshold)
    ]
    i, j = np.concatenate([np.empty((0, 2), dtype=np.int64), *found]).T
    graph = coo_array((np.ones(len(i), dtype=bool), (i, j)), shape=(count, count))
    groups: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return groups.astype(np.int64)


def _blocks_of_pairs(hashes: Hashes, rows_a: Rows, rows_b: Rows, threshold: int) -> Iterator[Rows]:
    """Yield pairs [P, 2] within the threshold, block by block; an image on both sides is paired with itself."""
    words_a, words_b = (np.ascontiguousarray(hashes[rows].T) for rows in (rows_a, rows_b))
    for first in range(0, len(rows_a), BLOCK[0]):
        for second in range(0, len(rows_b), BLOCK[1]):
            part_a, part_b = words_a[:, first : first + BLOCK[0]], words_b[:, second : second + BLOCK[1]]
            distance = np.zeros((part_a.shape[1], part_b.shape[1]), dtype=np.uint16)
            for word_a, word_b in zip(part_a, part_b, strict=True):
                distance += np.bitwise_count(word_a[:, None] ^ word_b)
            i, j = np.nonzero(distance <= threshold)
            yield np.stack([rows_a[first + i], rows_b[second + j]], axis=1)
