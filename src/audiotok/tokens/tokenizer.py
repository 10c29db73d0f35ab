"""The tokenizer of a corpus: features and clustering in one module, fitted to clips."""

import logging
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from audiotok.clustering.codebooks import Codebooks
from audiotok.disk.keys import arrays_key
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.tokens.audio_files import AudioFiles, FileReader
from audiotok.tokens.quantizer import Quantizer
from audiotok.tokens.sample import ClipReader, Sampling, draw_sample

log = logging.getLogger(__name__)


class Fitted(NamedTuple):
    """What a tokenizer was fitted to.

    Args:
        n_clips: Clips that the frames are from.
        frames: Projected frames, float32 (N, D).
    """

    n_clips: int
    frames: np.ndarray


class Tokenizer(Quantizer):
    """Read waveforms as sentences.

    Args:
        features: Waveforms to frames.
        codebooks: Frames to tokens.
        sampling: How many frames both are fitted to; None for the default.
    """

    def __init__(self, features: Features, codebooks: Codebooks, sampling: Sampling | None = None) -> None:
        super().__init__(features, codebooks)
        self.sampling = sampling or Sampling()

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

    def checksum(self) -> str:
        """Return 16 hex digits that identify what was fitted or drawn."""
        return arrays_key(self.arrays())
