"""Label propagation: teacher outputs are averaged over similar training images."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from sklearn.neighbors import kneighbors_graph

from tdmr_ray.method.teacher import ProxySpace

NUM_STEPS = 30
"""Terms of the series; 0.8**30 is 0.001."""


def propagate_labels(outputs: ProxySpace, *, neighbors: int, alpha: float) -> ProxySpace:
    """Average the outputs for each image with those for similar ones, for images similar to those, and so on.

    Z = (1 - alpha) * (Y + alpha * P @ Y + alpha**2 * P @ P @ Y + ...), where the rows of P weigh an image's neighbours
    by their similarity and sum to 1. Images that are similar to a foundation mostly share a class, so that an output
    which stands alone among its neighbours is outvoted. Outputs that all agree, or alpha 0, stay unchanged.

    Args:
        outputs: Embedding [N, d], whose cosine is the similarity, and logits [N, C].
        neighbors: Neighbours of each image, at most N - 1; the relation is made symmetric.
        alpha: Weight of the neighbours, in [0, 1).

    Source: Zhou et al. 2003, "Learning with Local and Global Consistency" (with the random walk in place of the
    symmetric matrix, so that logits keep their scale); for deep networks Iscen et al. 2019, arXiv 1904.04717.
    """
    walk = _walk_to_neighbors(outputs.embedding.numpy(), min(neighbors, len(outputs.embedding) - 1))
    start = np.concatenate([tensor.numpy() for tensor in outputs], axis=1)
    propagated = start
    for _ in range(NUM_STEPS):
        propagated = (1 - alpha) * start + alpha * (walk @ propagated)
    width = outputs.embedding.shape[1]
    both = torch.from_numpy(propagated.astype(np.float32))
    return ProxySpace(both[:, :width], both[:, width:])


def _walk_to_neighbors(embedding: NDArray[np.float32], neighbors: int) -> csr_array:
    """Probabilities of a step from an image to a similar one, [N, N]; rows sum to 1."""
    graph = kneighbors_graph(embedding, neighbors, mode="distance", metric="cosine")
    graph.data = np.clip(1.0 - graph.data, 1e-6, 1.0) ** 3
    similarity = graph.maximum(graph.T)
    return csr_array(diags_array(1.0 / np.asarray(similarity.sum(axis=1)).ravel()) @ similarity)
