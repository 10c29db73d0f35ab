"""Residual quantisation: each codebook clusters what the former ones left over of a frame.

Source: Y. Chen, T. Guan, C. Wang, "Approximate nearest neighbor search by residual vector quantization",
Sensors 2010.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from audiotok.clustering.codebooks import PART, Codebooks, check_at_least_one, nearest
from audiotok.clustering.kmeans import lloyd


class Residual(Codebooks):
    """Q k-means in sequence: the first codebook says the frame roughly, the others correct it.

    Args:
        n_clusters: Centroids per codebook, K.
        n_codebooks: Codebooks, Q.
        n_iter: Iterations of Lloyd's algorithm.
        sample_frames: Frames that centroids are fitted on; None for all.
        sample_clips: Training clips that these frames are drawn from; None for all.
        seed: Seed of the draw and of the starting centroids.
    """

    def __init__(
        self,
        *,
        n_clusters: int,
        n_codebooks: int,
        n_iter: int,
        sample_frames: int | None,
        sample_clips: int | None,
        seed: int,
    ) -> None:
        super().__init__(
            n_clusters=n_clusters,
            n_codebooks=n_codebooks,
            sample_frames=sample_frames,
            sample_clips=sample_clips,
            seed=seed,
        )
        check_at_least_one(n_iter=n_iter)
        self.n_iter = n_iter

    @property
    def settings(self) -> dict[str, object]:
        """Everything that the centroids depend on."""
        return {"kind": "residual", "n_iter": self.n_iter, **self._common_settings()}

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
            book = torch.from_numpy(lloyd(left.numpy(), self.n_clusters, self.n_iter, self.seed + q))
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
