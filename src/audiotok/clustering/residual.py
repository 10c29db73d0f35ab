"""Residual quantisation: each codebook clusters what the previous ones leave of a frame.

Source: Y. Chen, T. Guan, C. Wang, "Approximate nearest neighbor search by residual vector quantization",
Sensors 2010.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiotok.clustering.codebooks import PART, nearest
from audiotok.clustering.lloyd import LloydCodebooks, lloyd
from audiotok.errors.ranges import Count, Seed

# Codebooks whose clustering starts from spread points. The residuals of later ones have no dense regions,
# so spread points would be outliers: starting all of 8 codebooks from them ends with a 6 % higher error.
_N_SPREAD = 2


class Residual(LloydCodebooks):
    """Q k-means in sequence: the first codebook approximates the frame, the others correct it.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q.
        n_iter: Iterations of Lloyd's algorithm.
        seed: Seed of the sample of frames and of the initial centroids.
    """

    kind = "residual"

    def __init__(
        self, *, n_clusters: Count = 256, n_codebooks: Count = 8, n_iter: Count = 8, seed: Seed = 0
    ) -> None:
        super().__init__(n_clusters=n_clusters, n_codebooks=n_codebooks, n_iter=n_iter, seed=seed)

    def check_dimensions(self, n_dimensions: int) -> None:
        """Accept any number of dimensions."""

    def fit_arrays(self, frames: np.ndarray) -> None:
        """Cluster frames (N, D), then their residuals, into centroids (Q, K, D)."""
        left = torch.from_numpy(frames.copy())
        books = []
        progress = tqdm(
            range(self.n_codebooks), "Fitting centroids", unit="codebook", disable=None, leave=False
        )
        for q in progress:
            centroids = lloyd(
                left.numpy(), self.n_clusters, self.n_iter, self.seed + q, from_spread=q < _N_SPREAD
            )
            book = torch.from_numpy(centroids)
            for part in left.split(PART):
                part -= book[nearest(part, book)]
            books.append(book)
        self.centroids = torch.stack(books)

    def encode(self, frames: Tensor) -> Tensor:
        """Return the nearest centroid to the residual, codebook by codebook: (..., D) to (..., Q)."""
        left = frames.flatten(0, -2)
        tokens = []
        for book in self.centroids:
            tokens.append(nearest(left, book))
            left = left - book[tokens[-1]]
        return torch.stack(tokens, -1).reshape(*frames.shape[:-1], self.n_codebooks)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the sum of the centroids of all codebooks: (..., Q) to (..., D)."""
        return self.decode_first(tokens, self.n_codebooks)

    are_ordered = True

    def decode_first(self, tokens: Tensor, n_codebooks: int) -> Tensor:
        """Return the sum of the centroids of the first codebooks: (..., Q) to (..., D)."""
        books = self.centroids[:n_codebooks]
        return torch.stack([book[tokens[..., q]] for q, book in enumerate(books)]).sum(0)
