"""Objectives of pretraining: the interface, and the options of the config group `objective`."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from audiotok.augment.words import MASKED
from audiotok.errors import UserError
from audiotok.errors.ranges import Count, InnerShare
from audiotok.padding import is_position


@runtime_checkable
class Objective(Protocol):
    """What every option of the config group `objective` builds."""

    def mask(self, tokens: Tensor, lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Hide positions of a batch, at least one of every clip.

        Args:
            tokens: (B, T, Q)
            lengths: Positions that are not padding, (B,).
            generator: The source of all random numbers, on the CPU.

        Returns:
            Tokens with `MASKED` at the hidden positions, and which these are, bool (B, T).
        """
        ...

    def loss(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Return the loss of logits (N, Q, K) at N hidden positions for the tokens there (N, Q).

        Tokens that are `MASKED`, by augmentation, do not count; the loss is 0 where no others are left.
        """
        ...


@dataclass(frozen=True)
class MaskedTokens:
    """Hide spans of positions, all codebooks of each, and predict the tokens there.

    Sources: J. Devlin et al., "BERT", NAACL 2019; spans, because neighbours give each other away, are from
    A. Baevski et al., "wav2vec 2.0", NeurIPS 2020.

    Args:
        share: Approximate share of a clip's positions that is hidden.
        span: Positions that are hidden together.

    Raises:
        UserError: A number is out of range.
    """

    share: InnerShare = 0.4
    span: Count = 3

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(
                f"objective.share={self.share} is not a share; choose more than 0 and less than 1."
            )
        if self.span < 1:
            raise UserError(f"objective.span={self.span} is too small; choose 1 or more.")

    def mask(self, tokens: Tensor, lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Hide spans of a batch; see `Objective.mask`."""
        n_clips, n_positions = tokens.shape[:2]
        first_share = 1 - (1 - self.share) ** (1 / self.span)  # a position lies in the span of any of `span`
        firsts = torch.rand(n_clips, n_positions, generator=generator) < first_share
        sure = (torch.rand(n_clips, generator=generator) * lengths.cpu()).long()
        firsts[torch.arange(n_clips), sure] = True
        padded = F.pad(firsts.float(), (self.span - 1, 0))[:, None]
        hidden = F.max_pool1d(padded, self.span, stride=1)[:, 0].bool().to(tokens.device)
        hidden &= is_position(lengths, n_positions)
        return tokens.masked_fill(hidden[..., None], MASKED), hidden

    def loss(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Return the mean cross-entropy; see `Objective.loss`."""
        total = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=MASKED, reduction="sum")
        return total / (tokens != MASKED).sum().clamp(min=1)
