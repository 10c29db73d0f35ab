"""Residual quantisation: each codebook clusters what the former ones left over of a frame.

Source: Y. Chen, T. Guan, C. Wang, "Approximate nearest neighbor search by residual vector quantization",
Sensors 2010.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiotok.clustering.codebooks import PART, nearest
from audiotok.clustering.lloyd import LloydCodebooks, lloyd

# Codebooks whose clustering starts from spread points. What these leave over of mel frames has no crowds any
# more: spread points are then its outliers, and starting from them in all of 8 codebooks leaves 6 % more.
_N_SPREAD = 2


class Residual(LloydCodebooks):
    """Q k-means in sequence: the first codebook says the frame roughly, the others correct it.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q.
        n_iter: Iterations of Lloyd's algorithm.
        sample_frames: Frames that centroids are fitted on; None for all.
        sample_clips: Training clips that these frames are drawn from; None for all.
        sample_gb: Most memory that the frames and the fitting to them take, GB.
        seed: Seed of the draw and of the starting centroids.
    """

    kind = "residual"

    def check_dimensions(self, n_dimensions: int) -> None:
        """Accept any number of dimensions."""

    def fit_arrays(self, frames: np.ndarray) -> None:
        """Cluster frames (N, D), then what is left of them, into centroids (Q, K, D)."""
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
        """Return the nearest centroid to what is left over, codebook by codebook: (..., D) to (..., Q)."""
        left = frames.flatten(0, -2)
        tokens = []
        for book in self.centroids:
            tokens.append(nearest(left, book))
            left = left - book[tokens[-1]]
        return torch.stack(tokens, -1).reshape(*frames.shape[:-1], self.n_codebooks)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the sum of the centroids of all codebooks: (..., Q) to (..., D)."""
        return torch.stack([book[tokens[..., q]] for q, book in enumerate(self.centroids)]).sum(0)
