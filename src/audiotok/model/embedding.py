"""Embeddings of tokens: one table for all codebooks, summed at every position."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from audiotok.model.model import Sizes

MASK = 0
N_SPECIAL = 1  # [MASK] comes before the tokens of the codebooks; a masked token is -1


class TokenEmbedding(nn.Module):
    """Tokens (B, T, Q), -1 where masked, to vectors (B, T, width).

    Args:
        sizes: Sizes of the vocabulary.
        width: Width of a vector.
        std: Standard deviation of its initial entries.
    """

    offsets: Tensor

    def __init__(self, sizes: Sizes, width: int, std: float) -> None:
        super().__init__()
        self.std = std
        self.table = nn.Embedding(N_SPECIAL + sizes.n_codebooks * sizes.n_clusters, width)
        nn.init.normal_(self.table.weight, std=std)
        offsets = N_SPECIAL + sizes.n_clusters * torch.arange(sizes.n_codebooks, device="cpu")  # even on meta
        self.register_buffer("offsets", offsets, persistent=False)

    @torch.no_grad()
    def start_from(self, begin: Literal["random", "centroids"], centroids: Tensor) -> None:
        """Begin at random, or at a random projection of the centroids (Q, K, dimensions of a codebook).

        A random projection keeps the distances between centroids (W. Johnson, J. Lindenstrauss, 1984).
        """
        if begin == "random":
            return
        centred = centroids - centroids.mean(1, keepdim=True)
        projections = torch.randn(*centred.shape[::2], self.table.embedding_dim)
        rows = (centred.cpu() @ projections).flatten(0, 1)  # (Q * K, width)
        self.table.weight[N_SPECIAL:] = rows * self.std / rows.std().clamp(min=1e-12)

    def forward(self, tokens: Tensor) -> Tensor:
        """Sum the vectors of each position's tokens."""
        rows = torch.where(tokens < 0, MASK, tokens + self.offsets)
        sum_rows = _SumOfRows.apply if tokens.device.type == "cpu" else _sum_of_rows
        return sum_rows(self.table.weight, rows.flatten(0, 1)).unflatten(0, tokens.shape[:2])


def _sum_of_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Sum rows (N, Q) of a table (words, width): (N, width)."""
    return nn.functional.embedding_bag(rows, table, mode="sum")


class _SumOfRows(torch.autograd.Function):
    """`_sum_of_rows` whose gradient takes half the time on a CPU: unsorted, one codebook at a time."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.n_words = len(table)
        return _sum_of_rows(table, rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (rows,), (gradient,) = ctx.saved_tensors, gradients
        of_table = gradient.new_zeros(ctx.n_words, gradient.shape[1])
        for words in rows.T:
            of_table.index_add_(0, words, gradient)
        return of_table, None
