"""Product quantisation: the dimensions of a frame are shared out to Q codebooks, each with K centroids.

Source: H. Jégou, M. Douze, C. Schmid, "Product quantization for nearest neighbor search", PAMI 2011.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiotok.clustering.codebooks import nearest
from audiotok.clustering.lloyd import LloydCodebooks, lloyd
from audiotok.errors import UserError


class Product(LloydCodebooks):
    """Q independent k-means over Q groups of dimensions: Q tokens a frame, K to the power of Q words.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q; must divide the dimensions D.
        n_iter: Iterations of Lloyd's algorithm.
        sample_frames: Frames that centroids are fitted on; None for all.
        sample_clips: Training clips that these frames are drawn from; None for all.
        sample_gb: Most memory that the frames and the fitting to them take, GB.
        seed: Seed of the draw and of the starting centroids.
    """

    kind = "product"

    def check_dimensions(self, n_dimensions: int) -> None:
        """Raise `UserError` where the codebooks do not divide the dimensions."""
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
