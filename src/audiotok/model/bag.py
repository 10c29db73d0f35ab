"""A bag of words: a histogram of a clip's tokens and a small head; it trains in seconds."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from audiotok.errors.ranges import Count, ShareBelowOne
from audiotok.model.dropout import Dropout
from audiotok.model.model import Classifier, Model, Sizes, Start, check_counts, check_shares, start_at_prior
from audiotok.padding import is_position


class Bag(Model):
    """Count every token of a clip, take square roots of the shares, and map them to logits.

    The square root makes Euclidean distances of histograms those of Hellinger (R. Arandjelović,
    A. Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012).

    Args:
        hidden_sizes: Widths of the hidden layers; empty for a linear classifier.
        dropout: Share of histogram entries and of activations dropped.
        start_at_prior: Begin with the logits of how often each class is heard; false begins at
            probabilities of 0.5.
        sizes: Of vocabulary and classes.
    """

    reads = "tokens"
    offsets: Tensor

    def __init__(
        self,
        *,
        hidden_sizes: Sequence[Count] = (),
        dropout: ShareBelowOne = 0.5,
        start_at_prior: bool = True,
        sizes: Sizes,
    ) -> None:
        super().__init__()
        check_counts(**{f"hidden_sizes[{i}]": size for i, size in enumerate(hidden_sizes)})
        check_shares(dropout=dropout)
        self.n_words = sizes.n_codebooks * sizes.n_clusters
        widths = [self.n_words, *hidden_sizes]
        layers: list[nn.Module] = [Dropout(dropout)]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.GELU(), Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.classifier = Classifier(widths[-1], sizes.n_classes)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        self.start_at_prior = start_at_prior
        # The entries of a histogram have a root mean square of 1 / sqrt(K); this scales it to 1.
        self.scale = sizes.n_clusters**0.5
        offsets = sizes.n_clusters * torch.arange(sizes.n_codebooks, device="cpu")  # also on the meta device
        self.register_buffer("offsets", offsets, persistent=False)

    @torch.no_grad()
    def start_from(self, start: Start) -> None:
        """Begin at the class prior."""
        if self.start_at_prior:
            start_at_prior(self.classifier, start)

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Count tokens (B, T, Q) except masked ones (-1): square roots of their shares, (B, Q * K)."""
        counted = is_position(lengths, inputs.shape[1])[..., None] & (inputs >= 0)
        words = (inputs + self.offsets).clamp(min=0).flatten(1)
        counts = torch.zeros(inputs.shape[0], self.n_words, device=inputs.device, dtype=torch.float32)
        counts.scatter_add_(1, words, counted.flatten(1).float())  # half precision counts to 256 or 2048 only
        n_counted = counted.sum(1).clamp(min=1)  # (B, Q)
        shares = counts.unflatten(1, (inputs.shape[2], -1)) / n_counted[..., None]
        return shares.sqrt().flatten(1).to(self.classifier.weight.dtype)

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of histograms (B, Q * K)."""
        return self.classifier(self.hidden(vectors * self.scale))
