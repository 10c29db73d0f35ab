"""Mixup: weighted means of the vectors of two clips, with soft labels.

Source: H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. Here the vectors that a model
computes from its inputs are mixed, since tokens cannot be averaged.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiotok.augment.shares import check_shares
from audiotok.errors import UserError
from audiotok.errors.ranges import Positive, Share


@dataclass(frozen=True)
class Mixup:
    """Replace each clip by a weighted mean of it and another clip of the batch.

    Args:
        share: Share of the batches that are mixed.
        alpha: Parameter of the Beta distribution that weights are drawn from: near 0, one of the two clips
            dominates; at 1, weights are uniform.
    """

    share: Share = 0.0
    alpha: Positive = 0.5

    def __post_init__(self) -> None:
        check_shares(mixup__share=self.share)
        if self.alpha <= 0:
            raise UserError(f"augment.mixup.alpha={self.alpha} is too small; choose more than 0.")

    def __call__(self, vectors: Tensor, lengths: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mix vectors (B, ...), their lengths (B,) and targets (B, C), with torch's global generator."""
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
