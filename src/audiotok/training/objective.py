"""Hide tokens, and have the model say what they were.

Sources: J. Devlin et al., "BERT", NAACL 2019; spans of neighbouring positions, as neighbours give each other
away, from A. Baevski et al., "wav2vec 2.0", NeurIPS 2020.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from audiotok.augment.words import MASKED
from audiotok.errors import UserError
from audiotok.padding import is_position


@dataclass(frozen=True)
class MaskedTokens:
    """Mask spans of positions, all codebooks of each.

    Args:
        share: Share of a clip's positions that is masked, about.
        span: Positions that are masked together.
    """

    share: float
    span: int

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UserError(f"objective.share={self.share} is no share; choose more than 0 and less than 1.")
        if self.span < 1:
            raise UserError(f"objective.span={self.span} is too small; choose 1 or more.")

    def mask(self, tokens: Tensor, lengths: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Hide spans of a batch; at least one position of every clip.

        Args:
            tokens: (B, T, Q)
            lengths: Positions that are not padding, (B,).
            generator: On the CPU; all randomness is from it.

        Returns:
            Tokens with `MASKED` at the hidden positions, and which these are, bool (B, T).
        """
        n_clips, n_positions = tokens.shape[:2]
        first_share = 1 - (1 - self.share) ** (1 / self.span)  # a position is hidden by any of `span` firsts
        firsts = torch.rand(n_clips, n_positions, generator=generator) < first_share
        sure = (torch.rand(n_clips, generator=generator) * lengths.cpu()).long()
        firsts[torch.arange(n_clips), sure] = True
        padded = F.pad(firsts.float(), (self.span - 1, 0))[:, None]
        hidden = F.max_pool1d(padded, self.span, stride=1)[:, 0].bool().to(tokens.device)
        hidden &= is_position(lengths, n_positions)
        return tokens.masked_fill(hidden[..., None], MASKED), hidden

    def loss(self, logits: Tensor, tokens: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits (N, Q, K) of hidden positions for their tokens (N, Q).

        Tokens that augmentation has masked already are not asked for; 0 where no others are left.
        """
        total = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=MASKED, reduction="sum")
        return total / (tokens != MASKED).sum().clamp(min=1)
