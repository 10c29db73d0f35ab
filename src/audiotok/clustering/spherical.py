"""One codebook by spherical k-means: frames are compared by direction, and how long they are is thrown away.

Source: I. S. Dhillon, D. S. Modha, "Concept decompositions for large sparse text data using clustering",
Machine Learning 2001.
"""

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.lloyd import lloyd


class Spherical(KMeans):
    """FAISS spherical k-means: the token of a frame is the centroid of the largest cosine.

    A frame and its double are one word. Of frames in dB, length is mostly loudness: as they are
    (`features.n_components=null`) flat spectra of any level become one word; around their mean, as the
    principal components have them, quieter and louder than usual are opposite directions, and only how much
    so is lost.

    The centroids are of length 1. A token decodes to its centroid times the mean length that the sample's
    frames have along it, which of all lengths leaves the least error; 0 where no frame of the sample has it.

    Args:
        n_clusters: Centroids, K.
        n_iter: Iterations of Lloyd's algorithm.
        sample_frames: Frames that centroids are fitted on; None for all.
        sample_clips: Training clips that these frames are drawn from; None for all.
        sample_gb: Most memory that the frames and the fitting to them take, GB.
        seed: Seed of the draw and of the starting centroids.
    """

    kind = "spherical"
    lengths: Tensor

    def __init__(
        self,
        *,
        n_clusters: int,
        n_iter: int,
        sample_frames: int | None,
        sample_clips: int | None,
        sample_gb: float,
        seed: int,
    ) -> None:
        super().__init__(
            n_clusters=n_clusters,
            n_iter=n_iter,
            sample_frames=sample_frames,
            sample_clips=sample_clips,
            sample_gb=sample_gb,
            seed=seed,
        )
        self.register_buffer("lengths", torch.empty(0))

    def fit_arrays(self, frames: np.ndarray) -> None:
        """Cluster the directions of frames (N, D) into centroids (1, K, D), and find lengths (K,)."""
        directions = frames / np.linalg.norm(frames, axis=1, keepdims=True).clip(1e-12)
        centroids = lloyd(directions, self.n_clusters, self.n_iter, self.seed, spherical=True)
        del directions
        self.centroids = torch.from_numpy(centroids[None])
        tokens = self.encode_sample(torch.from_numpy(frames))[:, 0].numpy()
        along = np.einsum("nd,nd->n", frames, centroids[tokens])
        sums = np.bincount(tokens, along, self.n_clusters)
        counts = np.bincount(tokens, minlength=self.n_clusters).clip(1)
        self.lengths = torch.from_numpy(sums / counts).float()

    def encode(self, frames: Tensor) -> Tensor:
        """Return the index of the centroid of the largest cosine: (..., D) to (..., 1)."""
        return (frames @ self.centroids[0].T).max(-1, keepdim=True).indices

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the centroid of every token at its usual length: (..., 1) to (..., D)."""
        return (self.centroids[0] * self.lengths[:, None])[tokens[..., 0]]
