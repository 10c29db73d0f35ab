"""One codebook by k-means: the token of a frame is the index of its nearest centroid."""

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.codebooks import nearest
from audiotok.clustering.lloyd import LloydCodebooks, lloyd
from audiotok.errors.ranges import Count, Seed


class KMeans(LloydCodebooks):
    """FAISS k-means with one codebook of K centroids.

    Args:
        n_clusters: Centroids, K.
        n_iter: Iterations of Lloyd's algorithm.
        seed: Seed of the sample of frames and of the initial centroids.
    """

    kind = "kmeans"

    def __init__(self, *, n_clusters: Count = 500, n_iter: Count = 15, seed: Seed = 0) -> None:
        super().__init__(n_clusters=n_clusters, n_codebooks=1, n_iter=n_iter, seed=seed)

    def check_dimensions(self, n_dimensions: int) -> None:
        """Accept any number of dimensions."""

    def fit_arrays(self, frames: np.ndarray) -> None:
        """Cluster frames (N, D) into centroids (1, K, D)."""
        self.centroids = torch.from_numpy(lloyd(frames, self.n_clusters, self.n_iter, self.seed)[None])

    def encode(self, frames: Tensor) -> Tensor:
        """Return the index of the nearest centroid of every frame: (..., D) to (..., 1)."""
        tokens = nearest(frames.flatten(0, -2), self.centroids[0])
        return tokens.reshape(*frames.shape[:-1], 1)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the centroid of every token: (..., 1) to (..., D)."""
        return self.centroids[0][tokens[..., 0]]
