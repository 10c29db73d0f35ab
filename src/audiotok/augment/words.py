"""Augmentation of tokens: some are masked, some are replaced by similar ones."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from audiotok.augment.shares import check_shares
from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Share

MASKED = -1  # stands for a masked token


@dataclass(frozen=True)
class Words:
    """Mask tokens by position and by codebook, and replace tokens by neighbouring ones.

    Args:
        mask_time: Share of the positions of a clip at which all tokens are masked.
        mask_codebooks: Share of the codebooks of a clip that are masked at every position.
        noise: Share of the tokens that are replaced by one of the nearest centroids of their codebook.
        n_neighbors: Number of nearest centroids that a replacement is chosen from.
    """

    mask_time: Share = 0.0
    mask_codebooks: Share = 0.0
    noise: Share = 0.0
    n_neighbors: Count = 4

    def __post_init__(self) -> None:
        check_shares(
            words__mask_time=self.mask_time,
            words__mask_codebooks=self.mask_codebooks,
            words__noise=self.noise,
        )
        if self.n_neighbors < 1:
            raise UserError(f"augment.words.n_neighbors={self.n_neighbors} is too small; choose 1 or more.")

    def neighbors(self, centroids: Tensor) -> Tensor | None:
        """Find the centroids that noise chooses from, once for all batches.

        Args:
            centroids: (Q, K, dimensions of a codebook)

        Returns:
            (Q, K, neighbors), or None without noise.
        """
        return nearest_neighbors(centroids, self.n_neighbors) if self.noise else None

    def __call__(self, tokens: Tensor, neighbors: Tensor | None, generator: Generator) -> Tensor:
        """Augment a batch.

        Args:
            tokens: (B, T, Q)
            neighbors: The result of `neighbors`.
            generator: Source of all randomness, on the CPU.

        Returns:
            Tokens (B, T, Q), `MASKED` where they are masked.
        """
        n_clips, n_positions, n_codebooks = tokens.shape

        def chosen(share: float, *shape: int) -> Tensor:
            return (torch.rand(shape, generator=generator) < share).to(tokens.device)

        if self.noise:
            assert neighbors is not None
            which = torch.randint(neighbors.shape[2], tokens.shape, generator=generator).to(tokens.device)
            books = torch.arange(n_codebooks, device=tokens.device)
            tokens = torch.where(chosen(self.noise, *tokens.shape), neighbors[books, tokens, which], tokens)
        if self.mask_time:
            tokens = tokens.masked_fill(chosen(self.mask_time, n_clips, n_positions, 1), MASKED)
        if self.mask_codebooks:
            tokens = tokens.masked_fill(chosen(self.mask_codebooks, n_clips, 1, n_codebooks), MASKED)
        return tokens


def nearest_neighbors(centroids: Tensor, n_neighbors: int) -> Tensor:
    """Return the nearest other centroids of the same codebook: (Q, K, d) to (Q, K, n_neighbors).

    There are fewer than `n_neighbors` in a smaller codebook; an only centroid is its own neighbour.
    """
    n_clusters = centroids.shape[1]
    distances = torch.cdist(centroids, centroids)
    if n_clusters > 1:
        distances.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return distances.topk(min(n_neighbors, max(1, n_clusters - 1)), largest=False).indices
