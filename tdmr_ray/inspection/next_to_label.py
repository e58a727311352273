"""The images without labels that are worth labelling next."""

import heapq
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

MAX_RANKED = 100
MAX_POOL = 5000
"""Images that are compared with each other; of more, this many are drawn."""
SHARPNESS = 3
"""Power of the cosine, which makes an image cover only what is very similar."""


class Ranking(NamedTuple):
    """Images to label, the most useful first.

    Attributes:
        rows: The images, [K].
        scores: Uncertainty that each newly covers, relative to the most useful one, [K].
    """

    rows: Tensor
    scores: Tensor


def rank_to_label(features: Tensor, labeled: Tensor, probabilities: Tensor, *, count: int = MAX_RANKED) -> Ranking:
    """Choose images that resemble many uncertain images which no labelled or chosen image resembles.

    Greedy maximisation of sum over i of u[i] * max over chosen j of s[i, j]: the uncertainty u is 1 minus the gap
    between the two largest probabilities, and the similarity s the cosine of centred features, cut at 0 and cubed.
    Labelled images count as chosen.

    Args:
        features: Foundation features of the images without labels, [N, d].
        labeled: Features of the labelled ones, [L, d].
        probabilities: Class probabilities of the images without labels, [N, C].
        count: Largest number of images.

    Source: facility location weighted by uncertainty, after Wei, Iyer and Bilmes 2015, "Submodularity in Data Subset
    Selection and Active Learning". `benchmarks/next_to_label.py` compares it with other rules.
    """
    if len(features) > MAX_POOL:
        drawn = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))[:MAX_POOL]
        rows, scores = rank_to_label(features[drawn], labeled, probabilities[drawn], count=count)
        return Ranking(drawn[rows], scores)
    center = torch.cat([features, labeled]).mean(dim=0)
    own, known = normalize(features - center, dim=1), normalize(labeled - center, dim=1)
    return _greedy(_similarity(own, own), _similarity(own, known).max(dim=1).values, uncertainty(probabilities), count)


def uncertainty(probabilities: Tensor) -> Tensor:
    """Return 1 minus the gap between the two largest of the probabilities [N, C], [N]."""
    two = probabilities.topk(2, dim=1).values
    return 1 - (two[:, 0] - two[:, 1])


def _greedy(similarity: Tensor, covered: Tensor, weights: Tensor, count: int) -> Ranking:
    """Choose images by what they add; an image's gain never grows, so that an old one is an upper bound.

    Args:
        similarity: [N, N], symmetric.
        covered: Similarity of each image to the most similar labelled one, [N].
        weights: Uncertainty, [N].
        count: Largest number of images.
    """
    gains = torch.cat([((part - covered).clamp(min=0) * weights).sum(dim=1) for part in similarity.split(512)])
    heap = [(-gain, row) for row, gain in enumerate(gains.tolist())]
    heapq.heapify(heap)
    rows: list[int] = []
    scores: list[float] = []
    while heap and len(rows) < count:
        _, row = heapq.heappop(heap)
        gain = float(((similarity[row] - covered).clamp(min=0) * weights).sum())
        if heap and gain < -heap[0][0]:
            heapq.heappush(heap, (-gain, row))
            continue
        rows.append(row)
        scores.append(gain)
        covered = torch.maximum(covered, similarity[row])
    largest = max([*scores, 1e-12])
    return Ranking(torch.tensor(rows, dtype=torch.int64), torch.tensor(scores) / largest)


def _similarity(own: Tensor, others: Tensor) -> Tensor:
    return (own @ others.T).clamp(min=0) ** SHARPNESS
