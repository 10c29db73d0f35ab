"""One codebook by k-means: the token of a frame is the index of its nearest centroid."""

import faiss
import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.codebooks import Codebooks, check_at_least_one, nearest


class KMeans(Codebooks):
    """FAISS k-means with one codebook of K centroids.

    Args:
        n_clusters: Centroids, K.
        n_iter: Iterations of Lloyd's algorithm.
        sample_frames: Frames that centroids are fitted on; None for all.
        sample_clips: Training clips that these frames are drawn from; None for all.
        seed: Seed of the draw and of the starting centroids.
    """

    def __init__(
        self, *, n_clusters: int, n_iter: int, sample_frames: int | None, sample_clips: int | None, seed: int
    ) -> None:
        super().__init__(
            n_clusters=n_clusters,
            n_codebooks=1,
            sample_frames=sample_frames,
            sample_clips=sample_clips,
            seed=seed,
        )
        check_at_least_one(n_iter=n_iter)
        self.n_iter = n_iter

    @property
    def settings(self) -> dict[str, object]:
        """Everything that the centroids depend on."""
        return {"kind": "kmeans", "n_iter": self.n_iter, **self._common_settings()}

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


def lloyd(points: np.ndarray, n_clusters: int, n_iter: int, seed: int, spherical: bool = False) -> np.ndarray:
    """Run FAISS k-means over all points, on a GPU where FAISS sees one.

    Left to itself, FAISS silently takes 256 points a centroid; what it is handed here it uses.

    Args:
        points: float32 (N, dimensions), contiguous, N >= n_clusters.
        n_clusters: Centroids, K.
        n_iter: Iterations.
        seed: Seed of the starting centroids.
        spherical: Assign points by the largest product, and scale centroids to length 1.

    Returns:
        float32 (K, dimensions)
    """
    kmeans = faiss.Kmeans(
        points.shape[1],
        n_clusters,
        niter=n_iter,
        seed=seed % 2**31,  # FAISS holds it in a C int
        spherical=spherical,
        gpu=faiss.get_num_gpus() > 0,
        min_points_per_centroid=1,
        max_points_per_centroid=-(-len(points) // n_clusters),
    )
    kmeans.train(points)
    assert kmeans.centroids is not None
    return kmeans.centroids
