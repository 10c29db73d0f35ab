"""Symmetric systems in which a frame is coupled to few neighbours, solved exactly in time linear in T."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from audiotok.padding import is_position

_SETTLED = 1e-13  # relative change from one group to the next below which the factor is constant
Block = Callable[[int, int], Tensor]


class Banded:
    """The Cholesky factor of a positive definite matrix of T x T blocks, of which few are not 0.

    Frames are taken in groups of `reach`, so that only neighbouring groups are coupled. Where blocks no
    longer change with t, the factor becomes constant, and is used again for all groups that follow.

    Args:
        block: Returns the block (D, D) of frames t and t + k, for 0 <= k <= reach.
        n_frames: T.
        reach: Largest k whose block is not 0; at least 1.
        constant_from: The first t from which on a block depends on k alone.
        ridge: Added to the diagonal.
    """

    def __init__(self, block: Block, n_frames: int, reach: int, constant_from: int, ridge: float) -> None:
        self.reach = reach
        self.lower: list[Tensor] = []  # the diagonal of the factor, by group
        self.left: list[Tensor] = []  # of each group but the first, what lies left of the diagonal
        beside = torch.empty(0)
        for first in range(0, n_frames, reach):
            if first > constant_from + 2 * reach and self._is_settled():
                self.lower.append(self.lower[-1])
                self.left.append(self.left[-1])
                continue
            group = range(reach)
            diagonal = _matrix([[block(first + i, j - i) if j >= i else None for j in group] for i in group])
            diagonal = diagonal.triu() + diagonal.triu(1).mT
            diagonal.diagonal().add_(ridge)
            if self.lower:
                left = torch.linalg.solve_triangular(self.lower[-1], beside, upper=False).mT
                self.left.append(left)
                diagonal -= left @ left.mT
            self.lower.append(torch.linalg.cholesky(diagonal))
            beside = _matrix(
                [[block(first + i, reach + j - i) if j <= i else None for j in group] for i in group]
            )

    def _is_settled(self) -> bool:
        last, now = self.lower[-2:]
        return now is last or bool((now - last).abs().max() < _SETTLED * now.abs().max())

    def solve(self, right: Tensor, n_frames: Tensor) -> Tensor:
        """Solve for each clip the system of its own first frames.

        Args:
            right: (B, T, D)
            n_frames: (B,), frames of each clip that count.

        Returns:
            (B, T, D), 0 in all other frames.
        """
        n_clips, n_total, n_dimensions = right.shape
        counts = is_position(n_frames, n_total)[..., None].expand_as(right)
        right = self._grouped(right * counts)
        forward: list[Tensor] = []
        for group, lower in enumerate(self.lower):
            rest = right[group] - self.left[group - 1] @ forward[-1] if group else right[group]
            forward.append(torch.linalg.solve_triangular(lower, rest, upper=False))
        solved = [right.new_zeros(())] * len(forward)
        keep = self._grouped(counts)  # the factor of a shorter clip is the beginning of that of a longer one
        for group in reversed(range(len(forward))):
            rest = forward[group] * keep[group]
            if group + 1 < len(forward):
                rest = rest - self.left[group].mT @ solved[group + 1]
            solved[group] = torch.linalg.solve_triangular(self.lower[group].mT, rest, upper=True)
        return torch.stack(solved).permute(2, 0, 1).reshape(n_clips, -1, n_dimensions)[:, :n_total]

    def _grouped(self, frames: Tensor) -> Tensor:
        """Turn (B, T, D) into (groups, reach * D, B)."""
        filled = F.pad(frames, (0, 0, 0, len(self.lower) * self.reach - frames.shape[1]))
        return filled.reshape(len(frames), len(self.lower), -1).permute(1, 2, 0)


def _matrix(blocks: list[list[Tensor | None]]) -> Tensor:
    """Put blocks into a matrix; None is a block of zeros."""
    zero = torch.zeros_like(next(block for row in blocks for block in row if block is not None))
    return torch.cat([torch.cat([zero if block is None else block for block in row], 1) for row in blocks])
