"""A bidirectional LSTM that reads a clip as a sentence of tokens."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from audiotok.errors import UserError
from audiotok.errors.ranges import Count, Layers, ShareBelowOne
from audiotok.model.dropout import Dropout
from audiotok.model.embedding import TokenEmbedding
from audiotok.model.model import (
    Classifier,
    Model,
    Sizes,
    Start,
    check_counts,
    check_shares,
    start_at_prior,
    without_padding,
)


class LSTM(Model):
    """Sum the embeddings of a position's Q tokens, read them both ways, average, and map to logits.

    Source: S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 1997.

    Args:
        num_layers: Bidirectional layers.
        hidden_size: Width of a position; each direction has half of it.
        dropout: Share of activations dropped, in embeddings, between layers and before the logits.
        embedding: What a token's vector begins at: "random", or "centroids", the projected centroid.
        start_at_prior: Begin with the logits of how often each class is heard; false begins at
            probabilities of 0.5.
        sizes: Of vocabulary and classes.
    """

    reads = "tokens"

    def __init__(
        self,
        *,
        num_layers: Layers = 1,
        hidden_size: Count = 256,
        dropout: ShareBelowOne = 0.1,
        embedding: Literal["random", "centroids"] = "centroids",
        start_at_prior: bool = True,
        sizes: Sizes,
    ) -> None:
        super().__init__()
        check_counts(num_layers=num_layers)
        if hidden_size < 2:
            raise UserError(
                f"model.hidden_size={hidden_size} is too small for two directions; choose 2 or more."
            )
        check_shares(dropout=dropout)
        self.words = TokenEmbedding(sizes, hidden_size, std=1.0)
        self.lstm = nn.LSTM(
            hidden_size,
            hidden_size // 2,
            num_layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if num_layers > 1 else 0.0,  # torch drops between layers only, and warns
        )
        self.dropout = Dropout(dropout)
        self.classifier = Classifier(2 * (hidden_size // 2), sizes.n_classes)
        nn.init.zeros_(self.classifier.bias)
        self.embedding, self.start_at_prior = embedding, start_at_prior

    @torch.no_grad()
    def start_from(self, start: Start) -> None:
        """Begin at the projected centroids and the class prior."""
        self.words.start_from(self.embedding, start.centroids)
        if self.start_at_prior:
            start_at_prior(self.classifier, start)

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Sum the embeddings of tokens (B, T, Q), -1 where masked: (B, T, hidden)."""
        return without_padding(self.words(inputs), lengths)

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of vectors (B, T, hidden)."""
        packed = pack_padded_sequence(
            self.dropout(vectors), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        read, _ = self.lstm(packed)
        # 0 behind the lengths
        states, _ = pad_packed_sequence(read, batch_first=True, total_length=vectors.shape[1])
        return self.classifier(self.dropout(states.sum(1) / lengths[:, None]))
