"""Label propagation: teacher outputs are averaged over similar training images."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize
from torch import Tensor

from tdmr_ray.method.teacher import ProxySpace

TOLERANCE = 1e-9
"""Size of the remaining error relative to the outputs, in the norm that weighs images by their similarity."""
MAX_COLUMNS = 64
"""Columns that are solved together; more would only take more memory."""


def propagate_labels(outputs: ProxySpace, *, neighbors: int, alpha: float) -> ProxySpace:
    """Average the outputs for each image with those for similar ones, for images similar to those, and so on.

    Z = (1 - alpha) * (Y + alpha * P @ Y + alpha**2 * P @ P @ Y + ...) = (1 - alpha) * (I - alpha * P)**-1 @ Y, where
    the rows of P weigh an image's neighbours by their similarity and sum to 1. Images that are similar to a foundation
    mostly share a class, so that an output which stands alone among its neighbours is outvoted. Outputs that all agree,
    or alpha 0, stay unchanged.

    Args:
        outputs: Embedding [N, d], whose cosine is the similarity, and logits [N, C].
        neighbors: Neighbours of each image, at most N - 1; the relation is made symmetric.
        alpha: Weight of the neighbours, in [0, 1).

    Source: Zhou et al. 2003, "Learning with Local and Global Consistency" (with the random walk in place of the
    symmetric matrix, so that logits keep their scale); for deep networks Iscen et al. 2019, arXiv 1904.04717.
    """
    similarity = _similarity_of_neighbors(outputs.embedding.numpy(), min(neighbors, len(outputs.embedding) - 1))
    return ProxySpace(*(_propagated(tensor, similarity, alpha) for tensor in outputs))


def _propagated(values: Tensor, similarity: csr_array, alpha: float) -> Tensor:
    """Propagate values [N, k]; the columns are independent of each other."""
    columns = [column.double().numpy() for column in values.split(MAX_COLUMNS, dim=1)]
    return torch.from_numpy(np.concatenate([_solve(piece, similarity, alpha) for piece in columns], axis=1)).float()


def _solve(values: NDArray[np.float64], similarity: csr_array, alpha: float) -> NDArray[np.float64]:
    """Return Z of `propagate_labels` for Y = values [N, k], by conjugate gradients.

    With degrees D = diag(W @ 1) of the similarities W, the walk P = D**-1 @ W is similar to the symmetric matrix
    S = D**-1/2 @ W @ D**-1/2, so that (I - alpha * S) @ (D**1/2 @ Z) = (1 - alpha) * D**1/2 @ Y. The matrix has its
    eigenvalues in 1 - alpha .. 1 + alpha, so that a few dozen steps suffice at alpha 0.8. One step of the recursion
    Z = (1 - alpha) * Y + alpha * P @ Z then settles images that resemble none, which weigh little in the norm of S.
    """
    root = np.sqrt(similarity.sum(axis=1))
    symmetric = csr_array(diags_array(1 / root) @ similarity @ diags_array(1 / root))
    scaled = root[:, None] * values

    def apply(flat: NDArray[np.float64]) -> NDArray[np.float64]:
        now = flat.reshape(scaled.shape)
        applied: NDArray[np.float64] = now - alpha * (symmetric @ now)
        return applied.ravel()

    operator = LinearOperator((scaled.size, scaled.size), matvec=apply, dtype=np.float64)
    solution, failed = cg(operator, (1 - alpha) * scaled.ravel(), x0=scaled.ravel(), rtol=TOLERANCE)
    assert not failed, "the matrix is symmetric and positive definite"
    propagated = solution.reshape(scaled.shape) / root[:, None]
    walked: NDArray[np.float64] = similarity @ propagated / root[:, None] ** 2
    return (1 - alpha) * values + alpha * walked


def _similarity_of_neighbors(embedding: NDArray[np.float32], neighbors: int) -> csr_array:
    """Similarities of neighbouring images, [N, N]: symmetric, positive, and 0 for other pairs.

    On the unit sphere the squared distance is 2 - 2 * cosine; scikit-learn is three times as fast with distances.
    """
    graph = kneighbors_graph(normalize(embedding), neighbors, mode="distance")
    graph.data = np.clip(1.0 - graph.data**2 / 2, 1e-6, 1.0) ** 3
    return csr_array(graph.maximum(graph.T))
