"""Waveforms to tokens: features and clustering in one module, for workers and accelerators alike."""

import torch
from torch import Tensor, nn

from audiotok.clustering.codebooks import Codebooks
from audiotok.features.logmel import LogMel


class Tokenizer(nn.Module):
    """Read waveforms as sentences.

    Args:
        features: Waveforms to frames.
        codebooks: Frames to tokens.
    """

    def __init__(self, features: LogMel, codebooks: Codebooks) -> None:
        super().__init__()
        codebooks.check_dimensions(features.n_dimensions)
        self.features, self.codebooks = features, codebooks

    @property
    def settings(self) -> dict[str, object]:
        """Everything but the clips that the tokens depend on, flat: `features.hop_length` and so on."""
        parts = {"features": self.features.settings, "clustering": self.codebooks.settings}
        return {f"{part}.{key}": value for part, keys in parts.items() for key, value in keys.items()}

    def n_tokens(self, seconds: float) -> int:
        """Return how many positions, T, a clip of this length takes."""
        return self.features.n_frames(round(seconds * self.features.sample_rate))

    @torch.no_grad()
    def forward(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Tokenise a batch.

        Args:
            waveforms: (B, S) at `features.sample_rate`, padded with zeros.
            n_samples: (B,), samples of each that are not padding.

        Returns:
            Tokens (B, T, Q), int64, and how many positions of each clip are not padding (B,).
        """
        frames, n_frames = self.features(waveforms, n_samples)
        return self.codebooks.encode(frames), n_frames
