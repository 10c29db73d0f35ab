"""What `bert` and `frames` have in common: vectors that an encoder reads and a linear layer classifies."""

import torch
from torch import Tensor, nn

from audiotok.model.dropout import Dropout
from audiotok.model.encoder import Encoder
from audiotok.model.model import Classifier, Model, Start, start_at_prior


class Transformer(Model):
    """Read vectors (B, T, hidden), pool them, and map to logits; subclasses make the vectors.

    Args:
        encoder: Reads and pools.
        dropout: Share of activations dropped before the logits.
        start_at_prior: Begin with the logits of how often each class is heard.
        n_classes: Logits, C.
    """

    def __init__(self, encoder: Encoder, dropout: float, start_at_prior: bool, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = Dropout(dropout)
        self.classifier = Classifier(encoder.hidden_size, n_classes)
        nn.init.normal_(self.classifier.weight, std=encoder.initializer_range)
        nn.init.zeros_(self.classifier.bias)
        self.start_at_prior = start_at_prior

    @torch.no_grad()
    def start_from(self, start: Start) -> None:
        """Begin at the class prior."""
        if self.start_at_prior:
            start_at_prior(self.classifier, start.class_prior)

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of vectors (B, T, hidden)."""
        return self.classifier(self.dropout(self.encoder(vectors, lengths)))
