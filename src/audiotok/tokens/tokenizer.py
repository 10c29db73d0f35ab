"""Waveforms to tokens: features and clustering in one module, for workers and accelerators alike."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.clustering.codebooks import Codebooks
from audiotok.features.features import Features
from audiotok.store import arrays_key

Stage = Literal["waveform", "analysis", "frames", "tokens"]  # how far a clip has been processed


class Tokenizer(nn.Module):
    """Read waveforms as sentences.

    Args:
        features: Waveforms to frames.
        codebooks: Frames to tokens.
    """

    def __init__(self, features: Features, codebooks: Codebooks) -> None:
        super().__init__()
        codebooks.check_dimensions(features.n_dimensions)
        self.features, self.codebooks = features, codebooks

    @property
    def settings(self) -> dict[str, object]:
        """Everything but the clips that the tokens depend on, flat: `features.hop_length` and so on."""
        parts = {"features": self.features.settings, "clustering": self.codebooks.settings}
        return {f"{part}.{key}": value for part, keys in parts.items() for key, value in keys.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that was fitted or drawn, by name: the arrays of the codebooks and of the features."""
        codebooks, features = self.codebooks.arrays(), self.features.arrays()
        assert not codebooks.keys() & features.keys(), "clustering and features have arrays of the same name"
        return {**codebooks, **features}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over copies of what `arrays` returned."""
        self.codebooks.load_arrays(arrays)
        self.features.load_arrays(arrays)

    def checksum(self) -> str:
        """Return 16 hex digits that name what was fitted or drawn."""
        return arrays_key(self.arrays())

    def n_tokens(self, seconds: float) -> int:
        """Return how many positions, T, a clip of this length takes."""
        return self.features.n_frames(round(seconds * self.features.sample_rate))

    @torch.no_grad()
    def read(self, analysis: Tensor, n_slices: Tensor, stage: Stage) -> tuple[Tensor, Tensor]:
        """Turn the analysis of clips into the input of a model.

        Args:
            analysis: (B, slices, bins), what `features.analyze` returns.
            n_slices: (B,), slices of each that are not padding.
            stage: "analysis" for the normalised analysis (B, slices, bins), "frames" for (B, T, D), "tokens"
                for int64 (B, T, Q).

        Returns:
            The input, and how many positions of each clip are not padding (B,).
        """
        assert stage != "waveform", "an analysis cannot be turned back into sound"
        if stage == "analysis":
            return self.features.normalize(analysis, n_slices), n_slices
        frames, n_frames = self.features(analysis, n_slices)
        return (frames if stage == "frames" else self.codebooks.encode(frames)), n_frames

    @torch.no_grad()
    def forward(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Tokenise waveforms (B, S) with n_samples (B,): tokens (B, T, Q), and how many positions (B,)."""
        return self.read(*self.features.analyze(waveforms, n_samples), "tokens")
