"""A plain convolutional network on log-mel frames: what most people use instead of tokens.

Source: Q. Kong et al., "PANNs: Large-Scale Pretrained Audio Neural Networks for Audio Pattern Recognition",
TASLP 2020; the network resembles its CNN10, with fewer channels.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from audiotok.errors import UserError
from audiotok.errors.ranges import Count, ShareBelowOne
from audiotok.model.dropout import Dropout
from audiotok.model.model import (
    Classifier,
    Model,
    Sizes,
    Start,
    check_counts,
    check_shares,
    normalize_inside,
    start_at_prior,
)
from audiotok.padding import is_position


class CNN(Model):
    """Normalise mel bins, convolve and halve, pool over bins and time, and map to logits.

    Args:
        channels: Channels of each block of two 3 x 3 convolutions and a mean over 2 x 2.
        dropout: Share of activations dropped before the logits.
        start_at_prior: Begin with the logits of how often each class is heard; false begins at
            probabilities of 0.5.
        sizes: Of mel frames and classes.
    """

    reads = "analysis"

    def __init__(
        self,
        *,
        channels: Sequence[Count] = (16, 32, 64, 128),
        dropout: ShareBelowOne = 0.2,
        start_at_prior: bool = True,
        sizes: Sizes,
    ) -> None:
        super().__init__()
        check_counts(**{f"channels[{i}]": n for i, n in enumerate(channels)})
        if not channels:
            raise UserError("model.channels=[] makes no block; give at least one number.")
        check_shares(dropout=dropout)
        self.normalize = nn.BatchNorm1d(sizes.n_bins)
        widths = [1, *channels]
        self.blocks = nn.ModuleList(_Block(a, b) for a, b in pairwise(widths))
        self.dropout = Dropout(dropout)
        self.classifier = Classifier(channels[-1], sizes.n_classes)
        nn.init.zeros_(self.classifier.bias)
        self.start_at_prior = start_at_prior

    @torch.no_grad()
    def start_from(self, start: Start) -> None:
        """Begin at the class prior."""
        if self.start_at_prior:
            start_at_prior(self.classifier, start)

    def embed(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Normalise every mel bin of mel frames (B, T, M), padding left out; padding becomes 0, the mean."""
        return normalize_inside(self.normalize, inputs, lengths)

    def classify(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits (B, C) of normalised mel frames (B, T, M)."""
        # Channels last, which torch recognises by the strides; other layouts take 1.5 times as long on a CPU.
        maps = vectors.contiguous()[..., None].permute(0, 3, 1, 2)  # (B, 1, T, M)
        for block in self.blocks:
            maps, lengths = block(maps, lengths)
        states = maps.mean(3)  # (B, channels, T')
        inside = is_position(lengths, states.shape[2])[:, None]
        mean = states.sum(2) / lengths[:, None]
        return self.classifier(self.dropout(mean + states.masked_fill(~inside, -torch.inf).amax(2)))


class _Block(nn.Module):
    """Two 3 x 3 convolutions with batch norm and ReLU, and a mean over 2 x 2 or fewer at the edges."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
        )

    def forward(self, maps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, n_in, T, M), 0 behind the lengths (B,), to (B, n_out, T / 2, M / 2) and its lengths.

        Halves are rounded up. A clip's last mean is over its own positions, so that padding changes nothing.
        """
        inside = is_position(lengths, maps.shape[2])[:, None, :, None].to(maps.dtype)
        maps = self.layers[:3](maps) * inside  # the second convolution must see 0 behind a clip, too
        maps = self.layers[3:](maps) * inside
        counted = nn.functional.avg_pool2d(inside, (2, 1), ceil_mode=True)
        means = nn.functional.avg_pool2d(maps, 2, ceil_mode=True) / counted.clamp(min=0.5)
        return means, (lengths + 1) // 2
