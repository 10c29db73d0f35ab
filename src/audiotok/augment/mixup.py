"""Mixup: the vectors of two clips in one, with soft labels.

Source: H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018; here of the vectors that a
model makes of its inputs, as tokens have no mean.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiotok.augment.shares import check_shares
from audiotok.errors import UserError


@dataclass(frozen=True)
class Mixup:
    """Take a weighted mean of each clip and another of the batch.

    Args:
        share: Share of the batches that are mixed.
        alpha: Of the Beta distribution that weights are drawn from: near 0 leaves one of the two, 1 draws
            all weights alike.
    """

    share: float
    alpha: float

    def __post_init__(self) -> None:
        check_shares(mixup__share=self.share)
        if self.alpha <= 0:
            raise UserError(f"augment.mixup.alpha={self.alpha} is no Beta distribution; choose more than 0.")

    def __call__(self, vectors: Tensor, lengths: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix vectors (B, ...) with their lengths (B,) and targets (B, C), by torch's global generator."""
        if torch.rand(()) >= self.share:
            return vectors, lengths, targets
        n_clips = len(vectors)
        others = torch.randperm(n_clips).to(vectors.device)
        beta = torch.distributions.Beta(torch.tensor(self.alpha), torch.tensor(self.alpha))
        weights = beta.sample((n_clips,)).to(vectors.device)
        of_vectors = weights.view(-1, *[1] * (vectors.ndim - 1)).to(vectors.dtype)
        return (
            of_vectors * vectors + (1 - of_vectors) * vectors[others],
            lengths.maximum(lengths[others]),
            weights[:, None] * targets + (1 - weights[:, None]) * targets[others],
        )
