"""Scalar quantisation: every dimension of a frame is a codebook of its own."""

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.codebooks import Codebooks
from audiotok.errors import UserError


class Scalar(Codebooks):
    """Cut every dimension into K equally frequent intervals; a token is the interval of its value.

    Args:
        n_clusters: Intervals of a dimension, K.
        n_codebooks: Codebooks, Q: as many as a frame has dimensions.
        seed: Seed of the sample of frames.
    """

    edges: Tensor

    def __init__(self, *, n_clusters: int = 16, n_codebooks: int = 64, seed: int = 0) -> None:
        super().__init__(n_clusters=n_clusters, n_codebooks=n_codebooks, seed=seed)
        self.register_buffer("edges", torch.empty(0))

    @property
    def settings(self) -> dict[str, object]:
        """Everything that edges and centroids depend on."""
        sizes = {"n_clusters": self.n_clusters, "n_codebooks": self.n_codebooks}
        return {"kind": "scalar", **sizes, "seed": self.seed}

    def check_dimensions(self, n_dimensions: int) -> None:
        """Raise `UserError` if there is not one codebook for each dimension."""
        if n_dimensions != self.n_codebooks:
            raise UserError(
                f"clustering.n_codebooks={self.n_codebooks} is not the number of dimensions of a frame; "
                f"choose {n_dimensions}."
            )

    def fit_arrays(self, frames: np.ndarray) -> None:
        """Find the edges (Q, K - 1) of the intervals, and their medians, the centroids (Q, K, 1)."""
        inner, middles = np.arange(1, self.n_clusters), np.arange(self.n_clusters) + 0.5
        edges, medians = (np.quantile(frames, n / self.n_clusters, axis=0).T for n in (inner, middles))
        self.edges = torch.from_numpy(np.ascontiguousarray(edges)).float()
        self.centroids = torch.from_numpy(np.ascontiguousarray(medians)).float()[..., None]

    def encode(self, frames: Tensor) -> Tensor:
        """Return the interval of every value: (..., D) to (..., Q)."""
        values = frames.flatten(0, -2).T.contiguous()  # (Q, N)
        return torch.searchsorted(self.edges, values).T.reshape(frames.shape)

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the median of every interval: (..., Q) to (..., D)."""
        return torch.stack([book[tokens[..., q], 0] for q, book in enumerate(self.centroids)], -1)
