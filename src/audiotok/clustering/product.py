"""Product quantisation: the dimensions of a frame are divided among Q codebooks of K centroids each.

Source: H. Jégou, M. Douze, C. Schmid, "Product quantization for nearest neighbor search", PAMI 2011.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiotok.clustering.codebooks import nearest
from audiotok.clustering.lloyd import LloydCodebooks, lloyd
from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Seed


class Product(LloydCodebooks):
    """Q independent k-means over Q groups of dimensions: Q tokens per frame, K to the power of Q words.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q; must divide the dimensions D.
        n_iter: Iterations of Lloyd's algorithm.
        seed: Seed of the sample of frames and of the initial centroids.
    """

    kind = "product"

    def __init__(
        self, *, n_clusters: Count = 256, n_codebooks: Count = 24, n_iter: Count = 15, seed: Seed = 0
    ) -> None:
        super().__init__(n_clusters=n_clusters, n_codebooks=n_codebooks, n_iter=n_iter, seed=seed)

    def check_dimensions(self, n_dimensions: int) -> None:
        """Raise `UserError` if the codebooks do not divide the dimensions."""
        if n_dimensions % self.n_codebooks:
            raise UserError(
                f"clustering.n_codebooks={self.n_codebooks} does not divide the {n_dimensions} dimensions of "
                "a frame; choose a divisor, or set features.n_components to a multiple."
            )

    def fit_arrays(self, frames: np.ndarray) -> None:
        """Cluster frames (N, D) into centroids (Q, K, D / Q)."""
        parts = np.split(frames, self.n_codebooks, axis=1)
        progress = tqdm(parts, "Fitting centroids", unit="codebook", disable=None, leave=False)
        books = [
            lloyd(np.ascontiguousarray(part), self.n_clusters, self.n_iter, self.seed + q)
            for q, part in enumerate(progress)
        ]
        self.centroids = torch.from_numpy(np.stack(books))

    def encode(self, frames: Tensor) -> Tensor:
        """Return the nearest centroid in every codebook: (..., D) to (..., Q)."""
        parts = frames.flatten(0, -2).unflatten(-1, (self.n_codebooks, -1)).transpose(0, 1)  # (Q, N, D / Q)
        tokens = nearest(parts, self.centroids)  # (Q, N)
        return tokens.T.reshape(*frames.shape[:-1], self.n_codebooks)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the centroids of all codebooks, side by side: (..., Q) to (..., D)."""
        return torch.cat([book[tokens[..., q]] for q, book in enumerate(self.centroids)], -1)

    are_ordered = True

    def decode_first(self, tokens: Tensor, n_codebooks: int) -> Tensor:
        """Return frames (..., D) with the mean centroid where the other codebooks would be."""
        means = self.centroids[n_codebooks:].mean(1).flatten()
        told = [book[tokens[..., q]] for q, book in enumerate(self.centroids[:n_codebooks])]
        return torch.cat([*told, means.expand(*tokens.shape[:-1], -1)], -1)
