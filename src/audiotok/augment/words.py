"""What is changed in tokens: some are hidden, some are misheard."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from audiotok.augment.shares import check_shares
from audiotok.errors import UserError

MASKED = -1  # a token that is hidden


@dataclass(frozen=True)
class Words:
    """Mask tokens in time and by codebook, and replace tokens by neighbours.

    Args:
        mask_time: Share of the positions of a clip at which all tokens are masked.
        mask_codebooks: Share of the codebooks of a clip that are masked throughout.
        noise: Share of the tokens that are replaced by one of the nearest centroids of their codebook.
        n_neighbors: How many nearest centroids noise chooses from.
    """

    mask_time: float
    mask_codebooks: float
    noise: float
    n_neighbors: int

    def __post_init__(self) -> None:
        check_shares(
            words__mask_time=self.mask_time,
            words__mask_codebooks=self.mask_codebooks,
            words__noise=self.noise,
        )
        if self.n_neighbors < 1:
            raise UserError(f"augment.words.n_neighbors={self.n_neighbors} is too small; choose 1 or more.")

    def neighbors(self, centroids: Tensor) -> Tensor | None:
        """Find what noise chooses from, once for all batches.

        Args:
            centroids: (Q, K, dimensions of a codebook)

        Returns:
            (Q, K, neighbors), or None where there is no noise.
        """
        return nearest_neighbors(centroids, self.n_neighbors) if self.noise else None

    def __call__(self, tokens: Tensor, neighbors: Tensor | None, generator: Generator) -> Tensor:
        """Change a batch.

        Args:
            tokens: (B, T, Q)
            neighbors: What `neighbors` found.
            generator: On the CPU; all randomness is from it.

        Returns:
            Tokens (B, T, Q), `MASKED` where they are hidden.
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
    """Return for every centroid the nearest others of its codebook: (Q, K, d) to (Q, K, n_neighbors).

    Fewer than `n_neighbors` where a codebook has no more; itself where it has no other.
    """
    n_clusters = centroids.shape[1]
    distances = torch.cdist(centroids, centroids)
    if n_clusters > 1:
        distances.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return distances.topk(min(n_neighbors, max(1, n_clusters - 1)), largest=False).indices
