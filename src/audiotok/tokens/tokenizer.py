"""Waveforms to tokens: features and clustering in one module, for workers and accelerators alike."""

import logging
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from audiotok.clustering.codebooks import Codebooks
from audiotok.disk.keys import arrays_key
from audiotok.errors import UserError
from audiotok.errors.memory import check_memory
from audiotok.features.features import Features
from audiotok.tokens.audio_files import AudioFiles, FileReader
from audiotok.tokens.sample import ClipReader, Sampling, draw_sample

log = logging.getLogger(__name__)
Stage = Literal["waveform", "analysis", "frames", "tokens"]  # how far a clip has been processed


class Fitted(NamedTuple):
    """What a tokenizer was fitted to.

    Args:
        n_clips: Clips that the frames are from.
        frames: Projected frames, float32 (N, D).
    """

    n_clips: int
    frames: np.ndarray


class Tokenizer(nn.Module):
    """Read waveforms as sentences.

    Args:
        features: Waveforms to frames.
        codebooks: Frames to tokens.
        sampling: How many frames both are fitted to; None for the default.
    """

    def __init__(self, features: Features, codebooks: Codebooks, sampling: Sampling | None = None) -> None:
        super().__init__()
        codebooks.check_dimensions(features.n_dimensions)
        n_books, n_clusters = codebooks.n_codebooks, codebooks.n_clusters
        check_memory(
            4 * n_books * n_clusters * max(1, features.n_dimensions // n_books),
            f"clustering.n_clusters={n_clusters} in {n_books} codebooks (clustering.n_codebooks)",
        )
        self.features, self.codebooks, self.sampling = features, codebooks, sampling or Sampling()

    @property
    def settings(self) -> dict[str, object]:
        """Everything but the clips that the tokens depend on, flat: `features.hop_length` and so on."""
        parts = {"features": self.features.settings, "clustering": self.codebooks.settings}
        return {
            **{f"{part}.{key}": value for part, keys in parts.items() for key, value in keys.items()},
            # The names that these two had in earlier versions, so that vocabularies and tokens in caches and
            # run folders keep their keys.
            "clustering.sample_frames": self.sampling.n_frames,
            "clustering.sample_clips": self.sampling.n_clips,
        }

    def fit(self, files: AudioFiles, clip_seconds: float = 10.0) -> Self:
        """Fit the features and the codebooks to audio files; return this tokenizer.

        Args:
            files: Audio files, or the folder that they are in.
            clip_seconds: Length that files are cropped or padded to, s; padding is not sampled.

        Raises:
            UserError: There are no files, a file cannot be read, or there are fewer frames than clusters.
        """
        self.fit_to(FileReader(files, self.features, clip_seconds))
        return self

    def fit_to(self, clips: ClipReader) -> Fitted:
        """Fit the features and the codebooks to clips, and return the sample of frames.

        Raises:
            UserError: There are fewer frames than clusters.
        """
        sample = draw_sample(self.features, self.codebooks, self.sampling, clips)
        n_clips = sample.n_clips
        log.info("Fitting centroids to %s frames of %s training clips.", f"{len(sample):,}", f"{n_clips:,}")
        self.features.fit(sample)
        frames = sample.project()
        del sample  # it would take memory while the frames are clustered
        self.codebooks.fit(frames)
        return Fitted(n_clips, frames)

    def encode(self, files: AudioFiles, clip_seconds: float = 10.0) -> tuple[Tensor, Tensor]:
        """Tokenise audio files.

        Args:
            files: Audio files, or the folder that they are in.
            clip_seconds: Length that files are cropped or padded to, s.

        Returns:
            Tokens (files, T, Q), and how many positions of each file are not padding (files,).

        Raises:
            UserError: There are no files, a file cannot be read, or the tokenizer is not fitted.
        """
        if not self.codebooks.centroids.numel():
            raise UserError("The tokenizer has no centroids yet; call fit(files) first.")
        clips = FileReader(files, self.features, clip_seconds)
        tokens, lengths = zip(
            *(self.tokens(*batch) for batch in clips.analyses(range(len(clips)))), strict=True
        )
        return torch.cat(tokens), torch.cat(lengths)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything that was fitted or drawn, by name: arrays of codebooks and features."""
        codebooks, features = self.codebooks.arrays(), self.features.arrays()
        assert not codebooks.keys() & features.keys(), "clustering and features have arrays of the same name"
        return {**codebooks, **features}

    def load_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy back what `arrays` returned."""
        self.codebooks.load_arrays(arrays)
        self.features.load_arrays(arrays)

    def checksum(self) -> str:
        """Return 16 hex digits that identify what was fitted or drawn."""
        return arrays_key(self.arrays())

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
    def forward(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Tokenise waveforms (B, S) with n_samples (B,): tokens (B, T, Q), and how many positions (B,)."""
        return self.read(*self.features.analyze(waveforms, n_samples), "tokens")
