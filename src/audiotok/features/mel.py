"""Features whose analysis is a mel spectrogram in dB, and how clips are brought to one scale."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from audiotok.errors import UserError
from audiotok.features.griffin_lim import synthesize
from audiotok.features.spectrogram import MelSpectrogram
from audiotok.features.stacking import StackedFeatures
from audiotok.padding import is_position

_ASSUMED_RANGE_DB = 80.0  # between the loudest and the faintest bin of a clip
Normalization = Literal["none", "clip_minmax", "clip_max", "corpus"]


class MelFeatures(StackedFeatures):
    """Mel frames in dB, normalised, and frames made of them.

    Args:
        spectrogram: Waveforms to mel frames.
        range_db: Range of a clip below its loudest bin, dB: lower levels are raised to it; None for no limit.
        normalization: As of `LogMel`.
        n_stacked: As of `StackedFeatures`.
        stacked_key: As of `StackedFeatures`.
        own_settings: What `settings` has besides, or instead: the kind, and arguments of a subclass alone.
        stacking: Further arguments of `StackedFeatures`.

    Raises:
        UserError: The numbers contradict each other.
    """

    analysis_name = "mel frames"
    invertible = True
    floor_db: float

    def __init__(
        self,
        spectrogram: MelSpectrogram,
        *,
        range_db: float | None,
        normalization: Normalization,
        n_stacked: int,
        stacked_key: str,
        own_settings: Mapping[str, object] = MappingProxyType({}),
        **stacking: Any,
    ) -> None:
        super().__init__(
            n_stacked=n_stacked,
            stacked_key=stacked_key,
            standardize=normalization == "corpus",
            **stacking,
        )
        if range_db is not None and range_db <= 0:
            raise UserError(
                f"features.range_db={range_db} is too small; choose more than 0, or null for no limit."
            )
        self.spectrogram, self.range_db, self.normalization = spectrogram, range_db, normalization
        self.sample_rate, self.n_bins = spectrogram.sample_rate, spectrogram.n_mels
        self.floor_db = spectrogram.floor_db
        limits = {"range_db": range_db, "normalization": normalization}
        self._settings = {**self.analysis_settings, **limits, **stacking, **own_settings}

    @property
    def settings(self) -> dict[str, object]:
        """The kind, and every argument of the constructor."""
        return self._settings

    @property
    def analysis_settings(self) -> dict[str, object]:
        """The arguments that the spectrogram in dB depends on, whatever frames are made of it."""
        return {"kind": "logmel", **self.spectrogram.settings}

    @property
    def bin_hertz(self) -> np.ndarray:
        """Centres of the mel bins, Hz (M,)."""
        return self.spectrogram.centres

    def n_slices(self, n_samples: int) -> int:
        """Return how many mel frames a waveform of `n_samples` gives."""
        return self.spectrogram.n_frames(n_samples)

    def analyze(self, waveforms: Tensor, n_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mel spectrograms in dB of waveforms (B, S), padded with zeros behind n_samples (B,).

        Returns:
            (B, mel frames, M) in float16, and how many mel frames of each clip are not padding (B,).
        """
        return self.spectrogram(waveforms, n_samples)

    def normalize(self, analysis: Tensor, n_slices: Tensor) -> Tensor:
        """Limit the range of mel frames (B, mel frames, M) and bring every clip to its own scale."""
        mel = analysis.float()
        if self.range_db is None and self.normalization in {"none", "corpus"}:
            return mel
        padding = ~is_position(n_slices, mel.shape[1])[..., None]
        high = mel.masked_fill(padding, -torch.inf).amax((1, 2), keepdim=True)
        if self.range_db is not None:
            mel = mel.maximum(high - self.range_db)
        if self.normalization == "clip_max":
            return mel - high
        if self.normalization == "clip_minmax":
            low = mel.masked_fill(padding, torch.inf).amin((1, 2), keepdim=True)
            return ((mel - low) / (high - low).clamp(min=1e-8)).clamp(0, 1)  # a constant clip becomes 0
        return mel

    def slices(self, frames: Tensor, n_frames: Tensor, noise: float) -> Tensor:
        """Return the normalised mel frames (B, T * stride, M) of frames (B, T, D)."""
        return self.unstack(frames, n_frames, noise, smooth=True)

    def unproject(self, frames: Tensor, n_frames: Tensor, noise: float = 0.0) -> Tensor:
        """Turn frames (B, T, D) back into mel frames in dB, by least squares over all frames that see them.

        Lost are the directions that `n_components` leaves out, levels below `range_db`, with "clip_max" the
        level of a clip (its loudest bin becomes 0 dB), and with "clip_minmax" its range, too: that becomes
        `range_db`, or 80 dB. With all components, or without any, the rest comes back to float precision;
        with `deltas` and components, mel frames next to the end of a clip do not.

        Args:
            frames: (B, T, D)
            n_frames: (B,), frames of each that are not padding.
            noise: Variance of the errors of frames, relative to what they vary by; 0 if they are exact.

        Returns:
            (B, T * stride, M)
        """
        mel = self.slices(frames, n_frames, noise)
        if self.normalization == "clip_minmax":
            mel = (mel - 1) * (self.range_db or _ASSUMED_RANGE_DB)
        if self.normalization in ("clip_minmax", "clip_max"):
            return mel.clamp(-(self.range_db or torch.inf), 0)
        return mel.clamp(min=self.floor_db)

    def synthesize(self, analysis: Tensor, n_slices: Tensor) -> Tensor:
        """Turn mel frames (B, mel frames, M) in dB into waveforms (B, S) by the Griffin-Lim algorithm.

        S is the hop length times one less than the number of mel frames. Phases are not the original's.
        """
        return synthesize(analysis, n_slices, self.spectrogram)
