"""Encoders read the vectors of a clip's positions and pool them into one: the interface and the pooling."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn

from audiotok.padding import is_position

Pooling = Literal["cls", "mean", "attention", "mean_max"]
INIT_STD = 0.02  # deviation that BERT's weights begin with


class Encoder(nn.Module, ABC):
    """Put [CLS] before the vectors of a clip, let layers read them, and pool their states.

    Another encoder is a subclass that builds its layers and says how they are called, in `read`.

    Args:
        bert: The layers, from vectors to states of the same width. Checkpoints know them by this name.
        hidden_size: Width of a position, H.
        dropout: Share of activations that a model with this encoder drops before its logits.
        pooling: "cls", the [CLS] position; "mean" of all positions; "attention", a mean with learnt weights;
            "mean_max", the mean and the maximum of every dimension, added up (Q. Kong et al., "PANNs", TASLP
            2020), which keeps both what lasts and what occurs once.
    """

    def __init__(self, bert: nn.Module, *, hidden_size: int, dropout: float, pooling: Pooling) -> None:
        super().__init__()
        self.bert, self.hidden_size, self.dropout = bert, hidden_size, dropout
        self.cls = nn.Parameter(nn.init.normal_(torch.empty(hidden_size), std=INIT_STD))
        self.pooling = pooling
        self.attention = nn.Linear(hidden_size, 1, bias=False) if pooling == "attention" else None

    @abstractmethod
    def read(self, vectors: Tensor, inside: Tensor) -> Tensor:
        """Return the states (B, N, H) of vectors (B, N, H), of which those inside (B, N) are not padding."""

    def states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the states (B, 1 + T, H), [CLS] first, of vectors (B, T, H) with lengths (B,)."""
        start = self.cls.to(vectors.dtype).expand(vectors.shape[0], 1, -1)
        inputs = torch.cat([start, vectors], 1)  # (B, 1 + T, H)
        return self.read(inputs, is_position(lengths + 1, inputs.shape[1]))

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Read vectors (B, T, H) with lengths (B,) and pool them: (B, H)."""
        states = self.states(vectors, lengths)
        if self.pooling == "cls":
            return states[:, 0]
        mask = is_position(lengths + 1, states.shape[1])[..., None]
        if self.attention is None:
            weights = mask / (lengths + 1)[:, None, None]
        else:
            weights = self.attention(states).float().masked_fill(~mask, -torch.inf).softmax(1)
        pooled = (states * weights.to(states.dtype)).sum(1)
        if self.pooling == "mean_max":
            pooled = pooled + states.masked_fill(~mask, -torch.inf).amax(1)
        return pooled
