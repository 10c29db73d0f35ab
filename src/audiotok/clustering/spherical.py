"""One codebook by spherical k-means: frames are compared by direction alone, their length is discarded.

Source: I. S. Dhillon, D. S. Modha, "Concept decompositions for large sparse text data using clustering",
Machine Learning 2001.
"""

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.kmeans import KMeans
from audiotok.clustering.lloyd import lloyd
from audiotok.errors.ranges import Count, Seed


class Spherical(KMeans):
    """FAISS spherical k-means: the token of a frame is the centroid of the largest cosine.

    A frame and twice that frame are the same word. The length of a frame in dB is mostly loudness. Without
    principal components (`features.n_components=null`), flat spectra of any level become one word. With them,
    frames are centred on their mean: quieter and louder than average are opposite directions, and only the
    amount is lost.

    The centroids have length 1. A token decodes to its centroid times the mean projection of the sample's
    frames onto it, which minimises the error; to 0 if no frame of the sample has that token.

    Args:
        n_clusters: Centroids, K.
        n_iter: Iterations of Lloyd's algorithm.
        seed: Seed of the sample of frames and of the initial centroids.
    """

    kind = "spherical"
    lengths: Tensor

    def __init__(self, *, n_clusters: Count = 500, n_iter: Count = 15, seed: Seed = 0) -> None:
        super().__init__(n_clusters=n_clusters, n_iter=n_iter, seed=seed)
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
        """Return the centroid of every token at its mean length: (..., 1) to (..., D)."""
        return (self.centroids[0] * self.lengths[:, None])[tokens[..., 0]]
