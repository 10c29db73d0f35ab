"""Models with an encoder: it reads vectors and pools them, and a linear layer makes logits."""

from typing import Literal

import torch
from torch import Tensor, nn

from audiotok.model.dropout import Dropout
from audiotok.model.embedding import TokenEmbedding
from audiotok.model.encoder import INIT_STD, Encoder
from audiotok.model.model import (
    Classifier,
    Model,
    PretrainableModel,
    Sizes,
    Start,
    start_at_prior,
    without_padding,
)


class Transformer(Model):
    """Read vectors (B, T, hidden), pool them, and map to logits; subclasses make the vectors.

    Args:
        encoder: Reads and pools.
        start_at_prior: Begin with the logits of how often each class is heard.
        sizes: Of classes.
    """

    def __init__(self, encoder: Encoder, *, start_at_prior: bool, sizes: Sizes) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(encoder.dropout)
        self.classifier = Classifier(encoder.hidden_size, sizes.n_classes)
        nn.init.normal_(self.classifier.weight, std=INIT_STD)
        nn.init.zeros_(self.classifier.bias)
        self.start_at_prior = start_at_prior

    @torch.no_grad()
    def start_from(self, start: Start) -> None:
        """Begin at the class prior."""
        if self.start_at_prior:
            start_at_prior(self.classifier, start)

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of vectors (B, T, hidden)."""
        return self.classifier(self.dropout(self.encoder(vectors, lengths)))


class TokenTransformer(Transformer, PretrainableModel):
    """Sum the embeddings of a position's Q tokens, and let an encoder read all positions.

    Pretraining learns the embeddings and the encoder; attention pooling and the classifier begin anew.

    Args:
        encoder: Reads and pools.
        embedding: What a token's vector begins at: "random", or "centroids", the projected centroid, so that
            tokens that sound alike begin alike.
        start_at_prior: Begin with the logits of how often each class is heard; false begins at
            probabilities of 0.5.
        sizes: Of vocabulary and classes.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        embedding: Literal["random", "centroids"],
        start_at_prior: bool,
        sizes: Sizes,
    ) -> None:
        words = TokenEmbedding(sizes, encoder.hidden_size, INIT_STD)
        super().__init__(encoder, start_at_prior=start_at_prior, sizes=sizes)
        self.words, self.embedding = words, embedding

    @property
    def state_size(self) -> int:
        """Width of a state, H."""
        return self.encoder.hidden_size

    @torch.no_grad()
    def start_from(self, start: Start) -> None:
        """Begin at the projected centroids and the class prior."""
        self.words.start_from(self.embedding, start.centroids)
        super().start_from(start)

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Sum the embeddings of tokens (B, T, Q), -1 where masked: (B, T, hidden)."""
        return without_padding(self.words(inputs), lengths)

    def states(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return the states (B, T, H) of tokens (B, T, Q), -1 where masked."""
        return self.encoder.states(self.embed(tokens, lengths), lengths)[:, 1:]

    def is_pretrained(self, name: str) -> bool:
        """Tell whether pretraining learns a weight: embeddings, [CLS] and layers."""
        return name.startswith(("encoder.bert.", "encoder.cls", "words."))
