"""Waveforms to tokens: features and clustering in one module, for workers and accelerators alike."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.clustering.codebooks import Codebooks
from audiotok.features.logmel import LogMel
from audiotok.store import arrays_key

Stage = Literal["mel", "frames", "tokens"]  # how far a model wants its inputs made


class Tokenizer(nn.Module):
    """Read waveforms as sentences.

    Args:
        features: Waveforms to mel frames, and these to frames.
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

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that was fitted or drawn, by name: the buffers of codebooks, and of the projection."""
        arrays = self.codebooks.arrays()
        projection = self.features.projection
        if projection.is_fitted:
            fitted = {"mean": projection.mean, "components": projection.components}
            assert not fitted.keys() & arrays.keys(), "a clustering's buffer has the name of the projection's"
            arrays |= {name: tensor.cpu().numpy() for name, tensor in fitted.items()}
        return arrays

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over copies of what `arrays` returned."""
        self.codebooks.load_arrays(arrays)
        if "mean" in arrays:
            self.features.projection.mean.copy_(torch.from_numpy(arrays["mean"]))
            self.features.projection.components.copy_(torch.from_numpy(arrays["components"]))

    def checksum(self) -> str:
        """Return 16 hex digits that name what was fitted or drawn."""
        return arrays_key(self.arrays())

    def n_tokens(self, seconds: float) -> int:
        """Return how many positions, T, a clip of this length takes."""
        return self.features.n_frames(round(seconds * self.features.sample_rate))

    @torch.no_grad()
    def read(self, mel: Tensor, n_mel: Tensor, stage: Stage) -> tuple[Tensor, Tensor]:
        """Make what a model reads from mel frames.

        Args:
            mel: (B, mel frames, M), dB.
            n_mel: (B,), mel frames of each that are not padding.
            stage: "mel" for normalised mel frames (B, mel frames, M), "frames" for (B, T, D), "tokens" for
                int64 (B, T, Q).

        Returns:
            These, and how many positions of each clip are not padding (B,).
        """
        if stage == "mel":
            return self.features.normalize(mel.float(), n_mel), n_mel
        frames, n_frames = self.features(mel, n_mel)
        return (frames if stage == "frames" else self.codebooks.encode(frames)), n_frames

    @torch.no_grad()
    def forward(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Tokenise waveforms (B, S) with n_samples (B,): tokens (B, T, Q), and how many positions (B,)."""
        return self.read(*self.features.log_mel(waveforms, n_samples), "tokens")
