"""Waveforms to tokens, once features and codebooks are fitted: the part of the tokenizer that models need."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from audiotok.clustering.codebooks import Codebooks
from audiotok.errors.memory import check_memory
from audiotok.features.features import Features
from audiotok.padding import is_position

# Expected errors of decoded frames; see `Features.unproject`. On a few clips of ESC-10, 0.01 and 0.03 served
# the default tokens equally well, and 0.01 served those of features=logmel better.
TOKEN_NOISE = 0.01
Stage = Literal["waveform", "analysis", "frames", "tokens"]  # how far a clip has been processed


class Quantizer(nn.Module):
    """Turn waveforms into frames, and frames into tokens.

    Args:
        features: Waveforms to frames.
        codebooks: Frames to tokens.

    Raises:
        UserError: They do not fit each other, or the centroids do not fit into memory.
    """

    def __init__(self, features: Features, codebooks: Codebooks) -> None:
        super().__init__()
        codebooks.check_dimensions(features.n_dimensions)
        n_books, n_clusters = codebooks.n_codebooks, codebooks.n_clusters
        check_memory(
            4 * n_books * n_clusters * max(1, features.n_dimensions // n_books),
            f"clustering.n_clusters={n_clusters} in {n_books} codebooks (clustering.n_codebooks)",
        )
        self.features, self.codebooks = features, codebooks

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that was fitted or drawn, by name: arrays of codebooks and features."""
        codebooks, features = self.codebooks.arrays(), self.features.arrays()
        assert not codebooks.keys() & features.keys(), "clustering and features have arrays of the same name"
        return {**codebooks, **features}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy back what `arrays` returned."""
        self.codebooks.load_arrays(arrays)
        self.features.load_arrays(arrays)

    def n_tokens(self, seconds: float) -> int:
        """Return how many positions, T, a clip of this length has."""
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

    def tokens(self, analysis: Tensor, n_slices: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, T, Q) that depend on each clip alone, and how many positions count (B,).

        Clips are read one after the other: the last bits of a matrix product, and with them the choice
        between two centroids that are equally near, may depend on the other clips of a batch.
        """
        made = [self.read(analysis[i : i + 1], n_slices[i : i + 1], "tokens") for i in range(len(analysis))]
        tokens, lengths = zip(*made, strict=True)
        return torch.cat(tokens), torch.cat(lengths)

    @torch.no_grad()
    def encode_clip(self, samples: Tensor, length: int) -> Tensor:
        """Return the tokens (T, Q) of a sound alone, as those of a clip in training, without padding.

        Args:
            samples: (S,), at the rate of the features, on their device.
            length: That it is padded to with zeros, samples: that of the clips that the tokenizer is for.
        """
        padded = F.pad(samples, (0, length - len(samples)))[None]
        tokens, [n_tokens] = self(padded, torch.tensor([len(samples)], device=samples.device))
        return tokens[0, : int(n_tokens)]

    def decode(self, tokens: Tensor) -> Tensor:
        """Return the frames (..., T, D) that tokens (..., T, Q) stand for."""
        return self.codebooks.decode(tokens)

    @torch.no_grad()
    def forward(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Tokenise waveforms (B, S) with n_samples (B,): tokens (B, T, Q), and how many positions (B,)."""
        return self.read(*self.features.analyze(waveforms, n_samples), "tokens")

    @torch.no_grad()
    def reconstruct(self, tokens: Tensor, n_frames: Tensor, n_codebooks: int | None = None) -> Tensor:
        """Turn tokens (B, T, Q) with n_frames (B,) back into an analysis (B, slices, bins).

        Tokens behind n_frames may be anything. See `Features.unproject` for the number of slices.

        Args:
            tokens: (B, T, Q)
            n_frames: (B,)
            n_codebooks: Codebooks that are listened to, from the first on; None for all.

        Raises:
            UserError: The features cannot be turned back.
        """
        counts = is_position(n_frames, tokens.shape[1])
        tokens = tokens.where(counts[..., None], 0)
        frames = self.codebooks.decode_first(tokens, n_codebooks or self.codebooks.n_codebooks)
        return self.features.unproject(frames, n_frames, TOKEN_NOISE)

    @torch.no_grad()
    def resynthesize(self, tokens: Tensor, n_frames: Tensor) -> Tensor:
        """Turn tokens (B, T, Q) with n_frames (B,) back into waveforms (B, S).

        Raises:
            UserError: The features cannot be turned back.
        """
        analysis = self.reconstruct(tokens, n_frames)
        n_slices = (n_frames * analysis.shape[1]).div(tokens.shape[1], rounding_mode="floor")
        return self.features.synthesize(analysis, n_slices)
